public import ConfigurationFile
import RefreshCore

extension ProviderDefinition {
    /// Reads an entry under `providers`, whose key is the provider's name: `preset` (default oauth2), and any of the
    /// keys of ``ProviderFields``, which override those of the preset one by one.
    ///
    /// - Parameter defaultWindow: the window where the entry gives none.
    /// - Returns: nil after reporting at least one issue.
    public static func read(_ section: ConfigurationSection, defaultWindow: Duration) -> ProviderDefinition? {
        guard section.isMapping else { return nil }
        let name: ProviderName
        do {
            name = try ProviderName(section.name)
        } catch {
            section.report(.invalidValue, error.description)
            _ = section.keys
            return nil
        }
        let fields = ProviderFields(reading: section)
        guard let preset = preset(section) else { return nil }
        let reading = ProviderReading(section: section, given: fields, preset: preset)
        return reading.definition(name: name, defaultWindow: defaultWindow)
    }

    private static func preset(_ section: ConfigurationSection) -> Preset? {
        let name = section.contains("preset") ? section.string("preset") : Preset.standard
        guard let name else { return nil }
        do {
            if let preset = try Preset.load(name) { return preset }
        } catch {
            section.report(.unreadable, "preset", error.description)
            return nil
        }
        let hint = EditDistance.nearest(to: name, among: Preset.names).map { "; did you mean \($0)?" } ?? ""
        section.report(
            .invalidValue, "preset",
            "\(Quoted.text(name)) is not one of \(Preset.names.joined(separator: ", "))\(hint)")
        return nil
    }
}

/// Puts what the configuration says over what the preset says, and checks the whole.
private struct ProviderReading {
    let section: ConfigurationSection
    let given: ProviderFields
    let preset: Preset

    func definition(name: ProviderName, defaultWindow: Duration) -> ProviderDefinition? {
        let missing = missingKeys()
        let url = tokenURL()
        guard let clientAuth = clientAuthentication(), missing.isEmpty, let url else { return nil }
        var definition = ProviderDefinition(
            name: name, tokenURL: url, clientID: pick(\.clientID) ?? "", clientSecret: pick(\.clientSecret),
            clientAuth: clientAuth, requestFormat: pick(\.requestFormat) ?? .form,
            rotation: pick(\.rotation) ?? .singleUse, errors: errors())
        definition.preset = preset.name
        definition.given = given.given
        definition.caFile = pick(\.caFile)
        setRequest(&definition)
        definition.response = mapping(of: definition)
        definition.proxy = pick(\.proxy)
        definition.login = login
        setTimes(&definition, defaultWindow: defaultWindow)
        if let (key, message) = definition.contradiction {
            report(contradiction: message, about: key)
            return nil
        }
        let check = DefinitionCheck(section: section, given: given, preset: preset, definition: definition)
        return check.isGood() ? definition : nil
    }

    private var login: LoginDefinition { (given.login ?? LoginDefinition()).over(preset.fields.login) }

    private func pick<T>(_ field: KeyPath<ProviderFields, T?>) -> T? {
        given[keyPath: field] ?? preset.fields[keyPath: field]
    }

    private func merge(_ field: KeyPath<ProviderFields, NamedTemplates?>, ignoringCase: Bool = false) -> [RequestField]
    {
        let base = preset.fields[keyPath: field]?.fields ?? []
        return given[keyPath: field]?.over(base, ignoringCase: ignoringCase) ?? base
    }

    private func errors() -> ErrorRules {
        let (mine, theirs) = (given.errors ?? ErrorRules(), preset.fields.errors ?? ErrorRules())
        return ErrorRules(
            token: mine.token.before(theirs.token).rules, api: mine.api.before(theirs.api).rules)
    }

    private func setRequest(_ definition: inout ProviderDefinition) {
        definition.grant = pick(\.grant) ?? .refreshToken
        definition.body = pick(\.body)
        definition.method = pick(\.method) ?? "POST"
        definition.parameters = merge(\.parameters)
        definition.query = merge(\.query)
        definition.headers = merge(\.headers, ignoringCase: true)
        definition.computed = merge(\.computed)
        let mine = given.variables ?? []
        let theirs = (preset.fields.variables ?? []).filter { one in !mine.contains { $0.name == one.name } }
        definition.variables = theirs + mine
        definition.signingKey = pick(\.signingKey)
        let nothing = AssertionFields()
        definition.assertion = (given.assertion ?? nothing).over(preset.fields.assertion)
        definition.clientAssertion = (given.clientAssertion ?? nothing).over(preset.fields.clientAssertion)
        definition.scope = pick(\.scope)
        definition.audience = pick(\.audience)
        definition.resources = pick(\.resources) ?? []
        definition.accountFields = pick(\.accountFields) ?? definition.grant.accountFields
    }

    private func mapping(of definition: ProviderDefinition) -> ResponseMapping {
        var base = preset.fields.response?.over(.standard) ?? .standard
        // What an account is made of is never replaced by an answer.
        if definition.accountFields != nil { base.refreshToken = [] }
        return given.response?.over(base) ?? base
    }

    private func setTimes(_ definition: inout ProviderDefinition, defaultWindow: Duration) {
        definition.window = pick(\.window) ?? defaultWindow
        // A short window that somebody chose is no conflict with a skew that nobody chose.
        definition.skew = given.skew ?? min(preset.fields.skew ?? definition.skew, definition.window)
        definition.exchangeDeadline = pick(\.exchangeDeadline) ?? definition.exchangeDeadline
        definition.connectTimeout =
            pick(\.connectTimeout) ?? min(definition.connectTimeout, definition.exchangeDeadline)
        definition.sendBy = pick(\.sendBy) ?? definition.sendBy
        definition.lockTTL = pick(\.lockTTL) ?? definition.lockTTL
        definition.maxConcurrent = pick(\.maxConcurrent) ?? definition.maxConcurrent
        definition.rateLimit = pick(\.rateLimit)
        if let setting = pick(\.circuitBreaker) { definition.circuitBreaker = setting.breaker }
        definition.grantMaxAge = pick(\.grantMaxAge)
        definition.grantWarning = pick(\.grantWarning) ?? definition.grantWarning
        definition.defaultLifetime = pick(\.defaultLifetime) ?? definition.defaultLifetime
        definition.backoffBase = pick(\.backoffBase) ?? definition.backoffBase
        definition.backoffCap = pick(\.backoffCap) ?? max(definition.backoffCap, definition.backoffBase)
    }

    /// Reports what the preset needs and nobody gave.
    private func missingKeys() -> [String] {
        let missing = preset.requires.filter { requirement in
            let aliases = requirement.key == "token_url" ? ["token_url", "request.url"] : [requirement.key]
            return !aliases.contains { section.holds($0) || section.holds("\($0)_file") }
        }
        if !missing.isEmpty {
            section.report(
                .missing,
                "\(list(missing)) \(missing.count == 1 ? "is" : "are") missing: "
                    + "the preset \(preset.name) needs \(list(preset.requires)). "
                    + missing.map { "\($0.key): \($0.advice)" }.joined(separator: ". "))
        }
        return missing.map(\.key)
    }

    private func list(_ requirements: [Preset.Requirement]) -> String {
        let names = requirements.map(\.key).map { key in
            key == "client_secret" || key.hasPrefix("vars.") ? "\(key) (or \(key)_file)" : key
        }
        guard let last = names.last, names.count > 1 else { return names.joined() }
        return names.dropLast().joined(separator: ", ") + " and " + last
    }

    private func tokenURL() -> String? {
        guard let text = pick(\.tokenURL) else { return nil }
        let key = "token_url"
        do {
            let template = try Template(text)
            let url = try EndpointURL(template)
            if url.scheme == "http", !url.isLoopback, pick(\.allowInsecureHTTP) != true {
                section.report(
                    .invalidValue, key,
                    "would send the refresh token unencrypted: use https://, or set allow_insecure_http: true")
                return nil
            }
            return text
        } catch {
            section.report(.invalidValue, key, "\(error)")
            return nil
        }
    }

    private func clientAuthentication() -> ClientAuthentication? {
        let hasSecret = section.contains("client_secret") || section.contains("client_secret_file")
        let secretKey = section.contains("client_secret") ? "client_secret" : "client_secret_file"
        let hasOwnBody = pick(\.body) != nil
        // A body that is written out brings its own authentication, whatever the preset did.
        if given.body != nil, !section.contains("client_auth") { return ClientAuthentication.none }
        guard let chosen = pick(\.clientAuth) else {
            // What was written and could not be read has been reported already.
            if section.contains("client_auth") { return nil }
            return hasSecret && !hasOwnBody ? .basic : ClientAuthentication.none
        }
        if chosen == .none, hasSecret, !hasOwnBody, login.exchange?.clientAuth?.usesSecret != true {
            section.report(
                .contradiction, secretKey,
                "is not used with client_auth: none: remove it, or set client_auth to basic or post")
            return nil
        }
        if chosen.usesSecret, !hasSecret {
            // A preset that needs the secret has said so already.
            if !preset.requires.contains(where: { $0.key == "client_secret" }) {
                section.report(
                    .missing, "client_auth",
                    "\(chosen.rawValue) needs client_secret or client_secret_file; a public client has none")
            }
            return nil
        }
        return chosen
    }

    private func report(contradiction message: String, about key: String) {
        let related =
            key == "lock_ttl"
            ? ["lock_ttl", "exchange_deadline", "send_by"] : key == "skew" ? ["skew", "window"] : [key]
        guard let written = related.first(where: { section.contains($0) }) else {
            section.report(.contradiction, message)
            return
        }
        section.report(.contradiction, written, message)
    }
}
