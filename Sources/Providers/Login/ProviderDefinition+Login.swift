extension ProviderDefinition {
    /// How the client proves itself in the requests of a log-in: as `login.exchange.client_auth` says, else as in those of
    /// a refresh. A body that is written out proves it by itself, so where it holds a parameter `client_secret`, log-ins
    /// have it too.
    var loginClientAuth: ClientAuthentication {
        if let chosen = login.exchange?.clientAuth { return chosen }
        return clientAuth == .none && bodyHoldsSecret ? .post : clientAuth
    }

    private var bodyHoldsSecret: Bool {
        let secret = Template(parts: [.value(.name("client_secret"))])
        switch body {
        case .form(let fields): return fields.contains { $0.name == "client_secret" && $0.value == secret }
        case .json(.object(let members)):
            return members.contains { $0.name == "client_secret" && $0.value == .text(secret) }
        default: return false
        }
    }
}
