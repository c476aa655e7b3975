import Crypto
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A symmetric secret of the Standard Webhooks specification: `whsec_` and base64 of 24 to 64 bytes.
///
/// Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
public struct SigningSecret: Sendable, Hashable {
    /// Why a text is no secret. The text itself is not repeated.
    public struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    public static let prefix = "whsec_"
    public static let length = 24...64

    private let key: Secret

    /// - Throws: ``Malformed`` with what to write instead.
    public init(_ text: String) throws(Malformed) {
        let advice = "write whsec_ and base64 of 24 to 64 random bytes: echo whsec_$(openssl rand -base64 32)"
        guard text.hasPrefix(Self.prefix) else { throw Malformed(description: "does not begin with whsec_: \(advice)") }
        guard let bytes = Data(base64Encoded: String(text.dropFirst(Self.prefix.count))) else {
            throw Malformed(description: "is not base64 after whsec_: \(advice)")
        }
        guard Self.length.contains(bytes.count) else {
            throw Malformed(description: "has \(bytes.count) bytes after whsec_: \(advice)")
        }
        key = Secret(text)
    }

    /// `v1,` and base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
    ///
    /// - Parameter timestamp: seconds since 1970.
    public func signature(id: String, timestamp: Int64, body: [UInt8]) -> String {
        let bytes = Data(base64Encoded: String(key.reveal().dropFirst(Self.prefix.count))) ?? Data()
        var mac = HMAC<SHA256>(key: SymmetricKey(data: bytes))
        mac.update(data: Array("\(id).\(timestamp).".utf8))
        mac.update(data: body)
        return "v1," + Data(mac.finalize()).base64EncodedString()
    }

    /// For the fingerprint of an endpoint only.
    var text: String { key.reveal() }
}
