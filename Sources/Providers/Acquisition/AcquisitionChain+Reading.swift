public import ConfigurationFile
import RefreshCore

extension AcquisitionChain {
    /// The keys of a chain, which stand beside those of the limits (``AcquisitionLimits``).
    public static let keys = [
        "provider", "steps", "account_id", "name", "refresh_token", "fields", "step_timeout", "ca_file",
        "allow_insecure_http",
    ]

    /// Reads the chain in `pools.NAME.acquisition`:
    /// - `provider`: whose accounts it makes
    /// - `steps`: a list of `{ name, request: { method, url, query, headers, form | json | body }, extract: { NAME: POINTER } }`
    /// - `refresh_token`, or `fields: { NAME: TEMPLATE }` where the provider's accounts have fields
    /// - `account_id` (default `POOL-{{ uuid }}`), `name`, `step_timeout` (20s), `ca_file`, `allow_insecure_http`
    ///
    /// - Returns: nil after reporting at least one issue.
    public static func read(
        _ section: ConfigurationSection, pool: PoolName, catalog: ProviderCatalog
    ) -> AcquisitionChain? {
        ChainReading(section: section, pool: pool, catalog: catalog).chain()
    }
}

private struct ChainReading {
    let section: ConfigurationSection
    let pool: PoolName
    let catalog: ProviderCatalog

    func chain() -> AcquisitionChain? {
        let allowsHTTP = section.bool("allow_insecure_http") ?? false
        let timeout = section.duration("step_timeout", in: .milliseconds(100) ... .seconds(120))
        let caFile = section.string("ca_file")
        var reader = TemplateReader()
        let id = reader.template(section, "account_id")
        let name = reader.template(section, "name")
        let token = reader.template(section, "refresh_token")
        let fields = reader.named(section, "fields") { AccountFields.isName($0) ? nil : "is not the name of a field" }
        let provider = provider()
        let steps = steps(allowsHTTP: allowsHTTP, provider, &reader)
        guard let provider, let steps, let credential = credential(provider, token, fields) else { return nil }
        let accountID = id ?? (section.contains("account_id") ? nil : try? Template("\(pool)-{{ uuid }}"))
        guard let accountID else { return nil }
        let names =
            Self.names(provider) + steps.flatMap { step in step.extracts.map { "steps.\(step.name).\($0.name)" } }
        let scope = TemplateScope(names)
        var isGood = true
        for (key, template) in templates(credential) + [("account_id", accountID), ("name", name)] {
            guard let template else { continue }
            isGood = check(template, scope, key) && isGood
        }
        if accountID.names.isEmpty {
            section.report(
                .invalidValue, "account_id",
                "is the same for every new account, which would collide: write for example \"\(pool)-{{ uuid }}\"")
            isGood = false
        }
        guard isGood else { return nil }
        return AcquisitionChain(
            provider: provider.name, steps: steps, credential: credential, accountID: accountID, displayName: name,
            stepTimeout: timeout ?? AcquisitionChain.longestStep, caFile: caFile)
    }

    private func templates(_ credential: AcquisitionChain.Credential) -> [(String, Template?)] {
        switch credential {
        case .refreshToken(let template): [("refresh_token", template)]
        case .fields(let fields): fields.map { ("fields", $0.value) }
        }
    }

    private func check(_ template: Template, _ scope: TemplateScope, _ key: String) -> Bool {
        let problems = scope.problems(of: template)
        for problem in problems { section.report(.invalidValue, key, problem) }
        return problems.isEmpty
    }

    /// What every step can use.
    private static func names(_ provider: ProviderDefinition) -> [String] {
        var names = provider.variables.map { "vars.\($0.name)" }
        if !provider.clientID.isEmpty { names.append("client_id") }
        if provider.clientSecret != nil { names.append("client_secret") }
        return names
    }

    private func provider() -> ProviderDefinition? {
        guard let text = section.string("provider") else {
            if !section.contains("provider") {
                section.report(.missing, "needs provider: the one whose accounts it makes")
            }
            return nil
        }
        if let name = try? ProviderName(text), let definition = catalog[name] { return definition }
        let known = catalog.providers.map(\.rawValue)
        let hint =
            EditDistance.nearest(to: text, among: known).map { "did you mean \($0)?" }
            ?? "known: \(known.isEmpty ? "none" : known.joined(separator: ", "))"
        section.report(.invalidValue, "provider", "\(Quoted.text(text)) is not under providers; \(hint)")
        return nil
    }

    // MARK: What the account is made of

    private func credential(
        _ provider: ProviderDefinition, _ token: Template?, _ fields: NamedTemplates?
    ) -> AcquisitionChain.Credential? {
        if section.contains("refresh_token"), section.contains("fields") {
            section.report(.contradiction, "fields", "give either refresh_token or fields, not both")
            return nil
        }
        guard let wanted = provider.accountFields else {
            if section.contains("fields") {
                section.report(
                    .contradiction, "fields", "accounts of \(provider.name) have a refresh token: give refresh_token")
                return nil
            }
            if token == nil, !section.contains("refresh_token") {
                section.report(
                    .missing, "needs refresh_token: write for example \"{{ steps.sign_in.refresh_token }}\"")
            }
            return token.map { .refreshToken($0) }
        }
        if section.contains("refresh_token") {
            section.report(
                .contradiction, "refresh_token",
                "accounts of \(provider.name) have none: give fields (\(wanted.joined(separator: ", ")))")
            return nil
        }
        let given = fields?.fields ?? []
        let missing = wanted.filter { name in !given.contains { $0.name == name } }
        let unknown = given.map(\.name).filter { !wanted.contains($0) }
        if !missing.isEmpty || !unknown.isEmpty {
            section.report(
                .invalidValue, "fields",
                "have to be those of the provider's accounts: \(wanted.isEmpty ? "none" : wanted.joined(separator: ", "))"
            )
            return nil
        }
        return .fields(given)
    }

    // MARK: Steps

    private func steps(
        allowsHTTP: Bool, _ provider: ProviderDefinition?, _ reader: inout TemplateReader
    ) -> [AcquisitionChain.Step]? {
        guard section.contains("steps") else {
            section.report(.missing, "needs steps: a list of requests")
            return nil
        }
        var steps: [AcquisitionChain.Step] = []
        var isGood = true
        var names = provider.map(Self.names) ?? []
        section.elements(
            "steps",
            text: { _, origin in
                section.report(.invalidValue, at: origin, key: "\(section.path).steps", "has to be a mapping")
                isGood = false
            },
            mapping: { step in
                guard let read = self.step(step, allowsHTTP: allowsHTTP, taken: steps.map(\.name), &reader) else {
                    isGood = false
                    return
                }
                if provider != nil {
                    let scope = TemplateScope(names)
                    for problem in read.request.templates.flatMap({ scope.problems(of: $0) }) {
                        step.report(.invalidValue, "request", problem)
                        isGood = false
                    }
                }
                names += read.extracts.map { "steps.\(read.name).\($0.name)" }
                steps.append(read)
            })
        if isGood, steps.isEmpty { section.report(.invalidValue, "steps", "has no step") }
        return isGood && !steps.isEmpty ? steps : nil
    }

    private func step(
        _ section: ConfigurationSection, allowsHTTP: Bool, taken: [String], _ reader: inout TemplateReader
    ) -> AcquisitionChain.Step? {
        let name = section.string("name")
        if let name, !AccountFields.isName(name) {
            section.report(.invalidValue, "name", "is no name: write letters, digits and underscores")
        } else if let name, taken.contains(name) {
            section.report(.duplicateKey, "name", "is the name of an earlier step")
        } else if name == nil, !section.contains("name") {
            section.report(.missing, "needs a name, by which later steps refer to it")
        }
        let extracts = extracts(section)
        var request: RequestTemplate?
        if section.contains("request") {
            request = section.section("request") { StepRequestReading($0, allowsHTTP).read(&reader) } ?? nil
        } else {
            section.report(.missing, "needs request: { url: …, json: … }")
        }
        guard let name, AccountFields.isName(name), !taken.contains(name), let request, let extracts else { return nil }
        return AcquisitionChain.Step(name: name, request: request, extracts: extracts)
    }

    private func extracts(_ section: ConfigurationSection) -> [AcquisitionChain.Extract]? {
        guard section.contains("extract") else { return [] }
        return section.section("extract") { names in
            var extracts: [AcquisitionChain.Extract] = []
            var isGood = true
            for name in names.keys {
                guard AccountFields.isName(name) else {
                    names.report(.invalidValue, name, "is no name: write letters, digits and underscores")
                    isGood = false
                    continue
                }
                var pointers: [JSONPointer] = []
                for text in names.oneOrMany(name) ?? [] {
                    do throws(JSONPointer.Malformed) {
                        pointers.append(try JSONPointer(text))
                    } catch {
                        names.report(.invalidValue, name, "\(Quoted.text(text)) \(error.description)")
                        isGood = false
                    }
                }
                if pointers.isEmpty { isGood = false }
                extracts.append(AcquisitionChain.Extract(name: name, pointers: pointers))
            }
            return isGood ? extracts : nil
        } ?? nil
    }
}
