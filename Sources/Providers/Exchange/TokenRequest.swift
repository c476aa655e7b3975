import CurlClient
import FoundationEssentials
import RefreshCore

/// The request that spends a refresh token, or asks for a new grant.
enum TokenRequest {
    /// Bytes of an answer that are read at most.
    static let maximumResponse = 1 << 20

    /// RFC 9562, version 4.
    static func newUUID() -> String { UUID().uuidString.lowercased() }

    /// - Parameter moment: on the fleet's clock; the one time of all that is computed for this request.
    /// - Throws: ``TemplateFailure``; nothing may be sent then.
    static func build(
        _ definition: ProviderDefinition, credential: AccountCredential, moment: WallTime, connectTimeout: Duration,
        totalTimeout: Duration, sendBy: ContinuousClock.Instant, uuid: String = newUUID()
    ) throws(TemplateFailure) -> CurlRequest {
        let request = try RequestComposer(
            definition: definition, credential: credential, moment: moment, uuid: uuid
        ).compose()
        return CurlRequest(
            method: request.method, url: request.url, headers: request.headers,
            body: request.body.map { Array($0.utf8) },
            connectTimeout: min(connectTimeout, totalTimeout), totalTimeout: totalTimeout,
            maxResponseBytes: maximumResponse, tls: CurlTLS(caFile: definition.caFile), sendBy: sendBy, singleSend: true
        )
    }

    /// The signed assertions that a request carries, wherever in it they stand: whoever has one is let in until it ends.
    /// Known by their shape (RFC 7515 §3.1), which no encoding of a request changes.
    static func assertions(in request: CurlRequest) -> [Secret] {
        let texts =
            [request.url, String(decoding: request.body ?? [], as: UTF8.self)] + request.headers.map(\.value)
        return texts.filter(holdsStartOfAssertion).flatMap { text in
            text.split { character in
                guard let byte = character.asciiValue else { return true }
                return !HTTPText.isAlphanumeric(byte) && !Array("-_.".utf8).contains(byte)
            }
            .filter { $0.hasPrefix("eyJ") && $0.split(separator: ".").count == 3 }
            .map { Secret(String($0)) }
        }
    }

    /// Most requests carry none, and this is said of them without taking them apart.
    private static func holdsStartOfAssertion(_ text: String) -> Bool {
        zip(text.utf8, zip(text.utf8.dropFirst(), text.utf8.dropFirst(2))).contains { first, rest in
            first == UInt8(ascii: "e") && rest.0 == UInt8(ascii: "y") && rest.1 == UInt8(ascii: "J")
        }
    }
}
