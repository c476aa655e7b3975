import RefreshCore

/// The names that the templates of a chain can use.
struct AcquisitionScope {
    private let provider: ProviderDefinition

    init(_ provider: ProviderDefinition) {
        self.provider = provider
    }

    static func name(_ step: AcquisitionChain.Step, _ extract: AcquisitionChain.Extract) -> String {
        "steps.\(step.name).\(extract.name)"
    }

    /// Whether a name stands for the same in every run.
    static func isConstant(_ name: String) -> Bool {
        name == "client_id" || name == "client_secret" || name.hasPrefix("vars.")
    }

    private var fixed: [String] {
        var names = provider.variables.map { "vars.\($0.name)" }
        if !provider.clientID.isEmpty { names.append("client_id") }
        if provider.clientSecret != nil { names.append("client_secret") }
        return names
    }

    private var absent: [String: String] {
        var absent: [String: String] = [:]
        for key in ["client_id", "client_secret"] {
            absent[key] = "is not given: write \(key) under providers.\(provider.name)"
        }
        return absent
    }

    /// For what stands outside of the steps.
    func whole(_ steps: [AcquisitionChain.Step]) -> TemplateScope {
        scope(fixed + steps.flatMap { step in step.extracts.map { Self.name(step, $0) } }, absent)
    }

    /// For the request of one step, which knows what those before it have brought.
    func request(of index: Int, in steps: [AcquisitionChain.Step]) -> TemplateScope {
        var (names, absent) = (fixed, absent)
        for (number, step) in steps.enumerated() {
            for extract in step.extracts {
                let name = Self.name(step, extract)
                if number < index {
                    names.append(name)
                } else if number == index {
                    absent[name] = "is taken from this step's own answer: only later steps can use it"
                } else {
                    absent[name] = "comes from a later step: put the step \(step.name) before this one"
                }
            }
        }
        return scope(names, absent)
    }

    private func scope(_ names: [String], _ absent: [String: String]) -> TemplateScope {
        TemplateScope(names, absent: absent.filter { !names.contains($0.key) })
    }
}
