import JSONText
import RefreshCore

/// What a device authorization endpoint has answered (RFC 8628 §3.2).
public struct DeviceAuthorization: Sendable {
    let deviceCode: Secret
    /// To be typed in by a person; visible ASCII.
    public let userCode: String
    /// Where to type it in: an http or https URL.
    public let verificationURI: String
    /// The same with the code in it; nil where the provider gives none.
    public let verificationURIComplete: String?
    /// How long the codes are good for.
    public let lifetime: Duration
    /// Between two questions.
    public let interval: Duration

    /// - Throws: ``LoginError`` with code `malformed` for an answer that lacks something or cannot be shown.
    init(_ body: [UInt8]) throws(LoginError) {
        func missing(_ what: String) -> LoginError {
            LoginError(.malformed, "the answer of the device authorization endpoint holds no usable \(what)")
        }
        guard let document = LoginDocument.parse(body) else { throw missing("JSON object") }
        guard let code = document["device_code"]?.plainText else { throw missing("device_code") }
        guard let userCode = document["user_code"]?.plainText, userCode.utf8.count <= 64, Self.isVisible(userCode)
        else {
            throw missing("user_code")
        }
        // Google's name for it is older than the RFC.
        let place = document["verification_uri"]?.plainText ?? document["verification_url"]?.plainText
        guard let place, Self.isAddress(place) else { throw missing("verification_uri") }
        deviceCode = Secret(code)
        self.userCode = userCode
        verificationURI = place
        verificationURIComplete = document["verification_uri_complete"]?.plainText.flatMap {
            Self.isAddress($0) ? $0 : nil
        }
        guard let seconds = document["expires_in"]?.plainText.flatMap({ Double($0) }), seconds > 0, seconds.isFinite
        else {
            throw missing("expires_in")
        }
        lifetime = .milliseconds(Int64(min(seconds, 86_400) * 1000))
        interval = Self.interval(in: document) ?? .seconds(5)
    }

    /// The time between two questions that an answer tells, at least a second.
    static func interval(in document: JSONValue?) -> Duration? {
        guard let seconds = document?["interval"]?.plainText.flatMap({ Double($0) }), seconds.isFinite else {
            return nil
        }
        return .milliseconds(Int64(min(max(seconds, 1), 86_400) * 1000))
    }

    private static func isVisible(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f } }

    private static func isAddress(_ text: String) -> Bool {
        text.utf8.count <= 2048 && (try? EndpointURL(text)) != nil
    }
}
