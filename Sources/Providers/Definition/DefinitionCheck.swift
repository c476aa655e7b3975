import ConfigurationFile
import RefreshCore

/// Finds what can only be seen in a definition as a whole: templates that name nothing, keys that are not used, values
/// that the request would lack. A definition that passes sends requests that are complete.
struct DefinitionCheck {
    let section: ConfigurationSection
    let given: ProviderFields
    let preset: Preset
    let definition: ProviderDefinition

    /// False after reporting what is wrong.
    func isGood() -> Bool {
        let checks = [
            checkBody(), checkAuthentication(), checkGrant(), checkFields(), checkHeaders(), checkNames(),
            checkComputed(), checkLogin(),
        ]
        return checks.allSatisfy { $0 }
    }

    private func refuse(_ key: String, _ message: String, _ code: ConfigurationIssue.Code = .contradiction) -> Bool {
        if section.contains(key) { section.report(code, key, message) } else { section.report(code, message) }
        return false
    }

    /// A body that is written out is the whole body.
    private func checkBody() -> Bool {
        let hasNoBody = definition.method == "GET"
        guard hasNoBody || definition.body != nil else { return true }
        let reason =
            hasNoBody
            ? "GET has no body; write it into request.query" : "the request has a body of its own; write it there"
        for key in ["params", "request_format", "scope", "audience", "resource", "grant"] where section.contains(key) {
            return refuse(key, "is not used: \(reason)")
        }
        switch definition.clientAuth {
        case .basic, .none: return true
        case .post:
            return refuse(
                "client_auth",
                "is not used: write client_id: \"{{ client_id }}\" and client_secret: "
                    + "\"{{ client_secret }}\" into the body of the request")
        case .privateKeyJWT, .clientSecretJWT:
            guard !definition.templates.contains(where: { $0.names.contains("client_assertion") }) else { return true }
            return refuse(
                "client_auth",
                "is not used: write client_assertion: \"{{ client_assertion }}\" and "
                    + "client_assertion_type into the body of the request")
        }
    }

    private func checkAuthentication() -> Bool {
        if definition.clientAuth != .none, definition.clientID.isEmpty {
            return refuse("client_auth", "needs client_id", .missing)
        }
        switch definition.clientAuth {
        case .privateKeyJWT where definition.signingKey == nil:
            return refuse("client_auth", "needs signing: { key_file: /path.pem }", .missing)
        case .clientSecretJWT:
            if let secret = definition.clientSecret, secret.reveal().utf8.count < 32 {
                return refuse(
                    section.contains("client_secret") ? "client_secret" : "client_secret_file",
                    "is shorter than the 32 bytes that client_secret_jwt needs (RFC 7518 §3.2)")
            }
        default: break
        }
        return true
    }

    /// The client's authentication in log-ins, where it is another one.
    private func checkLogin() -> Bool {
        guard let auth = definition.login.exchange?.clientAuth else { return true }
        func refuse(_ message: String, _ code: ConfigurationIssue.Code) -> Bool {
            let key = "login.exchange.client_auth"
            section.report(code, at: section.origin(at: key), key: "\(section.path).\(key)", message)
            return false
        }
        if auth != .none, definition.clientID.isEmpty {
            return refuse("\(auth.rawValue) needs client_id", .missing)
        }
        if auth.usesSecret, definition.clientSecret == nil {
            return refuse("\(auth.rawValue) needs client_secret or client_secret_file", .missing)
        }
        switch auth {
        case .privateKeyJWT where definition.signingKey == nil:
            return refuse("private_key_jwt needs signing: { key_file: /path.pem }", .missing)
        case .clientSecretJWT where (definition.clientSecret?.reveal().utf8.count ?? 0) < 32:
            return refuse(
                "client_secret_jwt needs a client_secret of at least 32 bytes (RFC 7518 §3.2)", .invalidValue)
        case .basic where definition.headers.contains { $0.name.lowercased() == "authorization" }:
            return refuse("basic makes Authorization, which headers give: choose another one", .contradiction)
        default: return true
        }
    }

    private func checkGrant() -> Bool {
        if usesAssertion {
            if definition.signingKey == nil {
                return refuse("grant", "jwt_bearer needs signing: { key_file: /path.pem }", .missing)
            }
            if definition.assertion.issuer == nil {
                return refuse("assertion", "needs issuer: who signs, as the provider knows you", .missing)
            }
        }
        if !usesAssertion, section.contains("assertion") {
            return refuse("assertion", "is not used: set grant: jwt_bearer, or use {{ assertion }} in the request")
        }
        if definition.body == nil, definition.grant == .clientCredentials, !provesClient {
            return refuse(
                "grant",
                "client_credentials needs client_secret (or client_secret_file), or client_auth: private_key_jwt with "
                    + "signing: it is for clients that prove themselves (RFC 6749 §4.4)", .missing)
        }
        return true
    }

    /// Whether something in the request tells this client from another one.
    private var provesClient: Bool {
        definition.clientAuth != .none || !definition.query.isEmpty || !definition.parameters.isEmpty
            || definition.headers.contains { given.given.contains("headers.\($0.name)") }
    }

    private var usesAssertion: Bool {
        definition.request.templates.contains { $0.names.contains("assertion") }
    }

    private func checkFields() -> Bool {
        guard let fields = definition.accountFields else { return true }
        if definition.grant == .refreshToken, definition.body == nil {
            return refuse(
                "account_fields",
                "leaves the account without the refresh token that grant: refresh_token sends: set another grant, or "
                    + "write the body in request")
        }
        if given.response?.names("refresh_token") == true, !definition.response.refreshToken.isEmpty {
            section.report(
                .contradiction, "response",
                "has refresh_token, but an account made of "
                    + (fields.isEmpty ? "nothing" : fields.joined(separator: ", ")) + " has none to replace: remove it")
            return false
        }
        if definition.grant == .password, definition.body == nil {
            for name in ["username", "password"] where !fields.contains(name) {
                return refuse("account_fields", "lacks \(name), which grant: password sends")
            }
        }
        return true
    }

    private func checkHeaders() -> Bool {
        for header in definition.headers {
            switch header.name.lowercased() {
            case "authorization" where definition.clientAuth == .basic:
                return refuse("headers", "gives Authorization, which client_auth: basic makes: set client_auth: none")
            case "content-type":
                if case .text? = definition.body { continue }
                return refuse("headers", "gives Content-Type, which is made with the body: use request.body for others")
            default: continue
            }
        }
        return true
    }

    /// The names that templates of a request may use.
    private func scope(computed: [String]) -> TemplateScope {
        var names: [String] = []
        var absent: [String: String] = [:]
        let (hasKey, needsKey) = (definition.signingKey != nil, "needs signing: { key_file: /path.pem }")
        if hasKey { names.append("assertion") } else { absent["assertion"] = needsKey }
        if hasKey || definition.clientAuth == .clientSecretJWT {
            names.append("client_assertion")
        } else {
            absent["client_assertion"] = needsKey
        }
        if definition.accountFields == nil {
            names.append("refresh_token")
        } else {
            absent["refresh_token"] = "does not exist here: accounts of this provider have \(fieldWords)"
        }
        func add(_ name: String, _ isThere: Bool) {
            if isThere { names.append(name) } else { absent[name] = "has no value: give \(name)" }
        }
        add("client_id", !definition.clientID.isEmpty)
        add("client_secret", definition.clientSecret != nil)
        add("scope", definition.scope != nil)
        add("audience", definition.audience != nil)
        names += (definition.accountFields ?? []).map { "account.\($0)" }
        names += definition.variables.map { "vars.\($0.name)" }
        names += computed.map { "computed.\($0)" }
        return TemplateScope(names, absent: absent)
    }

    private var fieldWords: String {
        let fields = definition.accountFields ?? []
        return fields.isEmpty ? "no fields" : fields.map { "account.\($0)" }.joined(separator: ", ")
    }

    private func checkNames() -> Bool {
        let all = scope(computed: definition.computed.map(\.name))
        var isGood = true
        for place in given.places {
            for problem in all.problems(of: place.template) {
                section.report(.invalidValue, at: place.origin, key: place.path, problem)
                isGood = false
            }
        }
        if let url = try? Template(definition.tokenURL), section.contains("token_url") || section.contains("request") {
            for problem in all.problems(of: url) { isGood = refuse("token_url", problem, .invalidValue) }
        }
        guard isGood else { return false }
        // What is left comes from the preset, and lacks what the configuration took away or did not give.
        let problems = definition.templates.flatMap { all.problems(of: $0) }
        if let problem = problems.first {
            section.report(.missing, "\(problem) (used by the preset \(preset.name))")
            return false
        }
        return true
    }

    /// Each computed value may use those before it.
    private func checkComputed() -> Bool {
        var before: [String] = []
        for field in definition.computed {
            for late in ["assertion", "client_assertion"] where field.value.names.contains(late) {
                return refuse(
                    "computed", "\(field.name) uses {{ \(late) }}, which is made last: use it in the request itself",
                    .invalidValue)
            }
            let known = scope(computed: before)
            let late = known.problems(of: field.value)
            if !late.isEmpty, scope(computed: definition.computed.map(\.name)).problems(of: field.value).isEmpty {
                return refuse(
                    "computed", "\(field.name) uses a computed value that stands behind it: put it in front",
                    .invalidValue)
            }
            before.append(field.name)
        }
        return true
    }
}
