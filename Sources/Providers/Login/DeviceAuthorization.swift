import JSONText
public import RefreshCore

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
        let pause = document["interval"]?.plainText.flatMap { Double($0) } ?? 5
        interval = .milliseconds(Int64(min(max(pause.isFinite ? pause : 5, 1), 300) * 1000))
    }

    private static func isVisible(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f } }

    private static func isAddress(_ text: String) -> Bool {
        text.utf8.count <= 2048 && (try? EndpointURL(text)) != nil
    }
}

/// When to ask again whether somebody has typed in the code (RFC 8628 §3.5).
public struct DevicePolling: Sendable {
    public enum Step: Sendable {
        /// Ask again after this.
        case wait(Duration)
        case granted(RawTokenResponse)
        case failed(LoginError)
    }

    public private(set) var interval: Duration
    private static let longest = Duration.seconds(120)

    public init(_ authorization: DeviceAuthorization) {
        interval = authorization.interval
    }

    public mutating func next(after result: ExchangeResult) -> Step {
        switch result {
        case .unsent, .unreachable, .unanswered:
            // RFC 8628 §3.5: fewer questions to a server that does not answer.
            interval = min(interval * 2, Self.longest)
            return .wait(interval)
        case .answered(let response):
            if response.mayHoldTokens { return .granted(response) }
            let document = LoginDocument.parse(response.body)
            let error = document?["error"]?.plainText ?? document?["error"]?["code"]?.plainText
            switch error {
            case "authorization_pending": return .wait(interval)
            case "slow_down":
                interval = min(interval + .seconds(5), Self.longest)
                return .wait(interval)
            case "expired_token":
                return .failed(LoginError(.expired, "the code has ended before anybody typed it in: start again"))
            case .some(let error):
                return .failed(
                    AuthorizationRequest.failure(error, document?["error_description"]?.plainText))
            case nil where response.status == 429 || response.status >= 500:
                interval = min(interval + .seconds(5), Self.longest)
                return .wait(interval)
            case nil:
                return .failed(LoginError(.refused, "the provider answered HTTP \(response.status)"))
            }
        }
    }
}
