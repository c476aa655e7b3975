import Providers
import RefreshCore

/// Authorization code with PKCE, where the browser comes back to a port of this machine (RFC 8252 §7.3).
struct LoopbackLogin: Sendable {
    let definition: ProviderDefinition
    let plan: LoginPlan

    /// - Throws: ``LoginError``, or ``CommandFailure`` where no port can be had.
    func run() async throws -> (AuthorizationRequest, Secret, LoopbackReply) {
        guard let url = definition.login.authorizationURL else {
            throw LoginError(.refused, "there is no login.authorization_url")
        }
        let template = definition.login.redirectURI ?? .standard
        let ports = template.port.map { [$0] } ?? definition.login.redirectPorts ?? [0]
        let receiver = LoopbackReceiver()
        let port = try await listen(receiver, template, ports)
        let redirect = template.with(port: port)
        let request = AuthorizationRequest(definition, authorizationURL: url, redirectURI: redirect, scope: plan.scope)
        Terminal.standardError("Log in at this address, in a browser on this machine:\n\n\(request.url)\n")
        if plan.opensBrowser { Browser.open(request.url) }
        Terminal.standardError(
            "Waiting for the browser at \(redirect.text), up to "
                + "\(MachineClock.span(plan.timeout.wholeMilliseconds / 1000)).")
        do {
            let (code, reply) = try await receiver.answer(to: request, within: plan.timeout)
            return (request, code, reply)
        } catch {
            await receiver.stop()
            throw error
        }
    }

    private func listen(_ receiver: LoopbackReceiver, _ template: RedirectURI, _ ports: [Int]) async throws -> Int {
        for port in ports {
            if let bound = await receiver.listen(host: template.host, port: port) { return bound }
        }
        let names = ports.map(String.init).joined(separator: ", ")
        throw CommandFailure(
            .local,
            ports == [0]
                ? "no port of \(template.host) can be listened on: log in with --paste or --device"
                : "port \(names) of \(template.host) is in use by another program: end it, or log in with --paste")
    }
}
