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
        let provider = provider()
        let steps = AcquisitionStepsReading(section: section, provider: provider, allowsHTTP: allowsHTTP).steps()
        var reader = TemplateReader()
        let id = reader.template(section, "account_id")
        let name = reader.template(section, "name")
        let token = reader.template(section, "refresh_token")
        let fields = reader.named(section, "fields") { AccountFields.isName($0) ? nil : "is not the name of a field" }
        guard let provider, let steps, let credential = credential(provider, token, fields) else { return nil }
        let accountID = id ?? (section.contains("account_id") ? nil : try? Template("\(pool)-{{ uuid }}"))
        guard let accountID else { return nil }
        let scope = AcquisitionScope(provider).whole(steps)
        var isGood = true
        for place in reader.places {
            for problem in scope.problems(of: place.template) {
                section.report(.invalidValue, at: place.origin, key: place.path, problem)
                isGood = false
            }
        }
        if accountID.names.allSatisfy(AcquisitionScope.isConstant) {
            section.report(
                .invalidValue, "account_id",
                "is the same for every new account, which would collide: write for example \"\(pool)-{{ uuid }}\"")
            isGood = false
        }
        isGood = check(credential) && isGood
        guard isGood else { return nil }
        return AcquisitionChain(
            provider: provider.name, steps: steps, credential: credential, accountID: accountID, displayName: name,
            stepTimeout: timeout ?? AcquisitionChain.longestStep, caFile: caFile)
    }

    /// A token that no step brings would be the same for every account.
    private func check(_ credential: AcquisitionChain.Credential) -> Bool {
        guard case .refreshToken(let template) = credential,
            !template.names.contains(where: { $0.hasPrefix("steps.") })
        else { return true }
        section.report(
            .invalidValue, "refresh_token",
            "is the same for every new account: write what a step extracts, for example "
                + "\"{{ steps.sign_in.refresh_token }}\"")
        return false
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
}
