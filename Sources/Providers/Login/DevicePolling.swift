import JSONText
public import RefreshCore

/// When to ask again whether somebody has typed in the code (RFC 8628 §3.5).
public struct DevicePolling: Sendable {
    public enum Step: Sendable {
        /// Ask again after this.
        case wait(Duration)
        case granted(RawTokenResponse)
        case failed(LoginError)
    }

    /// What the provider wants between two questions; never falls.
    public private(set) var interval: Duration
    /// Questions in a row that were not answered.
    private var failures = 0
    /// As far as backing off goes by itself.
    private static let longest = Duration.seconds(120)

    public init(_ authorization: DeviceAuthorization) {
        interval = authorization.interval
    }

    public mutating func next(after result: ExchangeResult) -> Step {
        switch result {
        case .unsent, .unreachable, .unanswered: return .wait(backOff())
        case .answered(let response): return next(after: response)
        }
    }

    private mutating func next(after response: RawTokenResponse) -> Step {
        let document = LoginDocument.parse(response.body)
        let description = document?["error_description"]?.plainText
        // The error comes first, whatever the status is: GitHub says that it is pending with 200.
        let error = LoginDocument.error(in: document)
        switch error {
        case "authorization_pending":
            failures = 0
            return .wait(interval)
        case "slow_down":
            failures = 0
            // Five seconds more for this and all further questions; GitHub tells the new interval besides.
            interval = max(interval + .seconds(5), DeviceAuthorization.interval(in: document) ?? .zero)
            return .wait(interval)
        case "expired_token":
            return .failed(LoginError(.expired, "the code has ended before anybody typed it in: start again"))
        case "access_denied": return .failed(AuthorizationRequest.failure("access_denied", description))
        default: break
        }
        if response.mayHoldTokens, error == nil || TokenTrace.isIn(response.body) { return .granted(response) }
        let mayPass = response.status >= 500 || [408, 429].contains(response.status)
        if mayPass || error == "temporarily_unavailable" || error == "server_error" {
            return .wait(
                max(backOff(), RetryAfter.duration(response.headers, asked: response.requestedAt) ?? .zero))
        }
        if let error { return .failed(AuthorizationRequest.failure(error, description)) }
        return .failed(LoginError(.refused, "the provider answered HTTP \(response.status)"))
    }

    /// RFC 8628 §3.5: fewer questions to a server that does not answer, twice the time after each.
    private mutating func backOff() -> Duration {
        failures += 1
        return max(interval, min(interval * (1 << min(failures, 10)), Self.longest))
    }
}
