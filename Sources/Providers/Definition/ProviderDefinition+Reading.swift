public import ConfigurationFile
import RefreshCore

extension ProviderDefinition {
    /// Reads an entry under `providers`, whose key is the provider's name: `preset` (oauth2, claude or gemini; default
    /// oauth2), and any of the keys of ``ProviderFields``, which override those of the preset one by one.
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
        guard let clientAuth = clientAuthentication(), missing.isEmpty, let url, let clientID = pick(\.clientID) else {
            return nil
        }
        var definition = ProviderDefinition(
            name: name, tokenURL: url, clientID: clientID, clientSecret: pick(\.clientSecret), clientAuth: clientAuth,
            requestFormat: pick(\.requestFormat) ?? .form, rotation: pick(\.rotation) ?? .singleUse,
            errors: ErrorRules((given.errors?.rules ?? []) + (preset.fields.errors?.rules ?? [])))
        definition.preset = preset.name
        definition.parameters = pick(\.parameters) ?? []
        definition.headers = pick(\.headers) ?? []
        definition.scope = pick(\.scope)
        definition.audience = pick(\.audience)
        definition.resources = pick(\.resources) ?? []
        definition.caFile = pick(\.caFile)
        setTimes(&definition, defaultWindow: defaultWindow)
        if let (key, message) = definition.contradiction {
            report(contradiction: message, about: key)
            return nil
        }
        return definition
    }

    private func pick<T>(_ field: KeyPath<ProviderFields, T?>) -> T? {
        given[keyPath: field] ?? preset.fields[keyPath: field]
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
        definition.defaultLifetime = pick(\.defaultLifetime) ?? definition.defaultLifetime
        definition.backoffBase = pick(\.backoffBase) ?? definition.backoffBase
        definition.backoffCap = pick(\.backoffCap) ?? max(definition.backoffCap, definition.backoffBase)
    }

    /// Reports what the preset needs and nobody gave.
    private func missingKeys() -> [String] {
        let missing = preset.requires.filter { key in
            if key == "client_secret", section.contains("client_secret_file") { return false }
            return !section.contains(key)
        }
        if !missing.isEmpty {
            section.report(
                .missing,
                "\(list(missing)) \(missing.count == 1 ? "is" : "are") missing: "
                    + "the preset \(preset.name) needs \(list(preset.requires))")
        }
        return missing
    }

    private func list(_ keys: [String]) -> String {
        let names = keys.map { $0 == "client_secret" ? "client_secret (or client_secret_file)" : $0 }
        guard let last = names.last, names.count > 1 else { return names.joined() }
        return names.dropLast().joined(separator: ", ") + " and " + last
    }

    private func tokenURL() -> String? {
        guard let text = pick(\.tokenURL) else { return nil }
        do {
            let url = try EndpointURL(text)
            if url.scheme == "http", !url.isLoopback, pick(\.allowInsecureHTTP) != true {
                section.report(
                    .invalidValue, "token_url",
                    "would send the refresh token unencrypted: use https://, or set allow_insecure_http: true")
                return nil
            }
            return url.text
        } catch {
            section.report(.invalidValue, "token_url", error.description)
            return nil
        }
    }

    private func clientAuthentication() -> ClientAuthentication? {
        let hasSecret = section.contains("client_secret") || section.contains("client_secret_file")
        let secretKey = section.contains("client_secret") ? "client_secret" : "client_secret_file"
        guard let chosen = pick(\.clientAuth) else {
            // What was written and could not be read has been reported already.
            return section.contains("client_auth") ? nil : (hasSecret ? .basic : ClientAuthentication.none)
        }
        if chosen == .none, hasSecret {
            section.report(
                .contradiction, secretKey,
                "is not used with client_auth: none: remove it, or set client_auth to basic or post")
            return nil
        }
        if chosen != .none, !hasSecret {
            // A preset that needs the secret has said so already.
            if !preset.requires.contains("client_secret") {
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
