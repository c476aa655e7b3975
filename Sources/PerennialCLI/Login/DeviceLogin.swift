import Providers
import RefreshCore

/// The device flow (RFC 8628): somebody types in a code elsewhere, and meanwhile this program asks now and then.
struct DeviceLogin: Sendable {
    let client: LoginClient
    let definition: ProviderDefinition
    let plan: LoginPlan

    /// - Throws: ``LoginError``.
    func run() async throws -> RawTokenResponse {
        guard let url = definition.login.deviceAuthorizationURL else {
            throw LoginError(.refused, "there is no login.device_authorization_url")
        }
        let authorization = try await client.authorizeDevice(at: url, scope: plan.scope)
        Terminal.standardError("Open \(authorization.verificationURI) on any device and type in the code:")
        Terminal.standardError("")
        Terminal.standardError("    \(authorization.userCode)")
        Terminal.standardError("")
        if let complete = authorization.verificationURIComplete { Terminal.standardError("Or open \(complete)") }
        let lifetime = min(authorization.lifetime, plan.timeout)
        Terminal.standardError("Waiting up to \(MachineClock.span(lifetime.wholeMilliseconds / 1000)).")

        let deadline = ContinuousClock.now + lifetime
        var polling = DevicePolling(authorization)
        var pause = polling.interval
        while true {
            // The provider counts from when it got the last question: a little later than it was sent.
            // Not longer than the code is good for, however long that is.
            try await Task.sleep(for: max(min(pause + .milliseconds(100), deadline - ContinuousClock.now), .zero))
            guard ContinuousClock.now < deadline else {
                throw LoginError(
                    .expired,
                    "nobody has typed in the code within \(MachineClock.span(lifetime.wholeMilliseconds / 1000))")
            }
            switch polling.next(after: await client.poll(authorization)) {
            case .wait(let interval): pause = interval
            case .granted(let response): return response
            case .failed(let error): throw error
            }
        }
    }
}
