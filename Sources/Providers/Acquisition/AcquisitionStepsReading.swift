import ConfigurationFile
import RefreshCore

/// Reads `steps`: a list of `{ name, request: { method, url, query, headers, form | json | body }, extract: { NAME: POINTER } }`.
struct AcquisitionStepsReading {
    let section: ConfigurationSection
    /// Nil where it is not known; then the names in templates are not checked.
    let provider: ProviderDefinition?
    let allowsHTTP: Bool

    /// - Returns: nil after reporting at least one issue.
    func steps() -> [AcquisitionChain.Step]? {
        guard section.contains("steps") else {
            section.report(.missing, "needs steps: a list of requests")
            return nil
        }
        var steps: [AcquisitionChain.Step] = []
        var places: [[ProviderFields.Place]] = []
        var isGood = true
        section.elements(
            "steps",
            text: { _, origin in
                section.report(.invalidValue, at: origin, key: "\(section.path).steps", "has to be a mapping")
                isGood = false
            },
            mapping: { step in
                var reader = TemplateReader()
                guard let read = self.step(step, taken: steps.map(\.name), &reader) else {
                    isGood = false
                    return
                }
                steps.append(read)
                places.append(reader.places)
            })
        if isGood, steps.isEmpty { section.report(.invalidValue, "steps", "has no step") }
        guard isGood, !steps.isEmpty else { return nil }
        guard let provider else { return nil }
        for (index, places) in places.enumerated() {
            let scope = AcquisitionScope(provider).request(of: index, in: steps)
            for place in places {
                for problem in scope.problems(of: place.template) {
                    section.report(.invalidValue, at: place.origin, key: place.path, problem)
                    isGood = false
                }
            }
        }
        return isGood ? steps : nil
    }

    private func step(
        _ section: ConfigurationSection, taken: [String], _ reader: inout TemplateReader
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
            request = section.section("request") { self.request($0, &reader) } ?? nil
        } else {
            section.report(.missing, "needs request: { url: …, json: … }")
        }
        guard let name, AccountFields.isName(name), !taken.contains(name), let request, let extracts else { return nil }
        return AcquisitionChain.Step(name: name, request: request, extracts: extracts)
    }

    private func request(_ section: ConfigurationSection, _ reader: inout TemplateReader) -> RequestTemplate? {
        let fields = RequestFields(reading: section, &reader)
        guard let url = url(section, &reader) else { return nil }
        return RequestTemplate(
            method: fields.method ?? (fields.body == nil ? "GET" : "POST"), url: url,
            query: fields.query?.fields ?? [], headers: fields.headers?.fields ?? [], body: fields.body ?? .none)
    }

    private func url(_ section: ConfigurationSection, _ reader: inout TemplateReader) -> Template? {
        guard section.contains("url") else {
            section.report(.missing, "needs url: https://HOST/PATH")
            return nil
        }
        guard let template = reader.template(section, "url") else { return nil }
        do {
            let url = try EndpointURL(template)
            guard url.scheme == "https" || url.isLoopback || allowsHTTP else {
                section.report(
                    .invalidValue, "url",
                    "would send what it holds unencrypted: use https://, or set allow_insecure_http: true")
                return nil
            }
            return template
        } catch {
            section.report(.invalidValue, "url", error.description)
            return nil
        }
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
                let pointers = pointers(names, name)
                if pointers.isEmpty { isGood = false }
                extracts.append(AcquisitionChain.Extract(name: name, pointers: pointers))
            }
            return isGood ? extracts : nil
        } ?? nil
    }

    /// None after reporting at least one issue.
    private func pointers(_ names: ConfigurationSection, _ name: String) -> [JSONPointer] {
        var pointers: [JSONPointer] = []
        var isGood = true
        guard let texts = names.oneOrMany(name) else { return [] }
        if texts.isEmpty { names.report(.invalidValue, name, "needs a JSON pointer: write for example /\(name)") }
        for text in texts {
            do throws(JSONPointer.Malformed) {
                let pointer = try JSONPointer(text)
                if pointers.contains(pointer) {
                    names.report(.duplicateKey, name, "names \(text) twice: the second can never match")
                    isGood = false
                }
                pointers.append(pointer)
            } catch {
                names.report(.invalidValue, name, "\(Quoted.text(text)) \(error.description)")
                isGood = false
            }
        }
        return isGood ? pointers : []
    }
}
