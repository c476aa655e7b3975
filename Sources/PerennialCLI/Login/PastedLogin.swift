import Providers
import RefreshCore

/// Authorization code with PKCE, where the provider shows the code and somebody pastes it here.
struct PastedLogin: Sendable {
    let definition: ProviderDefinition
    let plan: LoginPlan

    /// - Throws: ``LoginError``.
    func run() async throws -> (AuthorizationRequest, Secret) {
        guard let url = definition.login.authorizationURL, var redirect = definition.login.redirectURI else {
            throw LoginError(.refused, "there is no login.authorization_url or no login.redirect_uri")
        }
        // The browser ends up at a page that cannot be shown, whose address holds the code.
        if redirect.isLoopback, redirect.port == nil {
            redirect = redirect.with(port: definition.login.redirectPorts?.first ?? Int.random(in: 49_152...65_535))
        }
        let request = AuthorizationRequest(definition, authorizationURL: url, redirectURI: redirect, scope: plan.scope)
        Terminal.standardError("Open this address in a browser and log in:\n\n\(request.url)\n")
        if plan.opensBrowser { Browser.open(request.url) }
        Terminal.standardError(
            redirect.isLoopback
                ? "Then paste the address at which the browser ends up (it cannot show that page), or the code:"
                : "Then paste the code that is shown, or the address at which the browser ends up:")
        // A second chance where the wrong thing was pasted; a script gets one.
        for _ in 0..<(HiddenInput.isTerminal ? 3 : 1) {
            let text = try await HiddenInput.readLine(within: plan.timeout)
            do throws(LoginError) {
                return (request, try request.code(fromPasted: text))
            } catch {
                guard HiddenInput.isTerminal, [.wrongState, .malformed].contains(error.code) else { throw error }
                Terminal.standardError("\(error.description). Paste it once more:")
            }
        }
        throw LoginError(.malformed, "no usable code was pasted: log in again")
    }
}
