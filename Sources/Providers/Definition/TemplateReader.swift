import ConfigurationFile
import JSONText

/// Templates by name, in order; a name with nothing takes away what the preset has.
struct NamedTemplates {
    var fields: [RequestField] = []
    var removed: [String] = []

    var names: [String] { fields.map(\.name) }

    func adding(_ more: NamedTemplates) -> NamedTemplates {
        NamedTemplates(fields: fields + more.fields, removed: removed + more.removed)
    }

    /// These over those of a preset: the same name is replaced where it stands, a new one comes last.
    func over(_ preset: [RequestField], ignoringCase: Bool = false) -> [RequestField] {
        func same(_ one: String, _ other: String) -> Bool {
            ignoringCase ? one.lowercased() == other.lowercased() : one == other
        }
        var result = preset.filter { field in !removed.contains { same($0, field.name) } }
        for field in fields {
            if let index = result.firstIndex(where: { same($0.name, field.name) }) {
                result[index] = field
            } else {
                result.append(field)
            }
        }
        return result
    }
}

/// Reads templates, and keeps where each stands.
struct TemplateReader {
    var places: [ProviderFields.Place] = []

    mutating func template(_ section: ConfigurationSection, _ key: String) -> Template? {
        section.value(key).flatMap { template($0, in: section) }
    }

    /// - Returns: nil after reporting what is wrong.
    mutating func template(_ value: ConfigurationValue, in section: ConfigurationSection) -> Template? {
        guard let written = value.written, value.text != nil else {
            section.report(
                .invalidValue, value,
                "has to be a text, not \(value.kind): put a text that begins with {{ in quotes")
            return nil
        }
        do {
            // Variables of the environment are put into the text around placeholders only: what they hold is never
            // taken for a placeholder.
            var isWhole = true
            let parts = try TemplateParser.parse(written) { piece in
                guard let text = section.substituted(piece, in: value) else {
                    isWhole = false
                    return ""
                }
                return text
            }
            guard isWhole else { return nil }
            let template = Template(parts: parts)
            guard !(template.literal ?? "").utf8.contains(0) else {
                section.report(.invalidValue, value, "holds a NUL character")
                return nil
            }
            places.append(ProviderFields.Place(template: template, origin: value.origin, path: value.path))
            return template
        } catch {
            section.report(.invalidValue, value, error.description)
            return nil
        }
    }

    /// A mapping of names to templates.
    ///
    /// - Parameter refuse: why a name cannot be given, or nil.
    mutating func named(
        _ section: ConfigurationSection, _ key: String, refuse: (String) -> String?
    ) -> NamedTemplates? {
        guard section.contains(key) else { return nil }
        return section.section(key) { names in
            var result = NamedTemplates()
            for name in names.keys {
                if let reason = refuse(name) {
                    names.report(.invalidValue, name, reason)
                } else if names.isNull(name) {
                    result.removed.append(name)
                } else if let template = template(names, name) {
                    if key == "headers", !Self.fitsHeader(template) {
                        names.report(.invalidValue, name, "holds a character that a header cannot have")
                    } else {
                        result.fields.append(RequestField(name: name, value: template))
                    }
                }
            }
            return result
        }
    }

    /// Whether the text of a template can stand in a header; what its placeholders stand for is seen when it is sent.
    private static func fitsHeader(_ template: Template) -> Bool {
        if let text = template.literal { return HTTPText.isFieldValue(text) }
        return template.parts.allSatisfy { part in
            if case .text(let text) = part {
                text.utf8.allSatisfy { $0 == 0x09 || (0x20...0x7E).contains($0) }
            } else {
                true
            }
        }
    }

    /// The fields of a form: a list of templates is the same name several times.
    mutating func form(_ section: ConfigurationSection, _ key: String) -> [RequestField]? {
        guard let value = section.value(key) else { return nil }
        guard case .mapping(let members) = value.content else {
            section.report(.invalidValue, value, "has to be a mapping of names to texts, not \(value.kind)")
            return nil
        }
        var fields: [RequestField] = []
        for member in members {
            let values: [ConfigurationValue] =
                if case .list(let elements) = member.value.content { elements } else { [member.value] }
            for element in values {
                guard let template = template(element, in: section) else { continue }
                fields.append(RequestField(name: member.name, value: template))
            }
        }
        return fields
    }

    /// A JSON value with templates for texts. Without quotes a number, `true`, `false` and `null` are what they are.
    mutating func json(_ value: ConfigurationValue, in section: ConfigurationSection) -> JSONTemplate? {
        switch value.content {
        case .null: return .constant(.null)
        case .list(let elements):
            let read = elements.map { json($0, in: section) }
            return read.contains { $0 == nil } ? nil : .list(read.compactMap { $0 })
        case .mapping(let members):
            var read: [JSONTemplate.Member] = []
            for member in members {
                guard let element = json(member.value, in: section) else { return nil }
                if read.contains(where: { $0.name == member.name }) {
                    section.report(.duplicateKey, member.value, "is given twice")
                    return nil
                }
                read.append(JSONTemplate.Member(name: member.name, value: element))
            }
            return .object(read)
        case .text(let text, let isPlain):
            if isPlain, let constant = Self.constant(text) { return .constant(constant) }
            return template(value, in: section).map { .text($0) }
        }
    }

    private static func constant(_ text: String) -> JSONConstant? {
        switch text {
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: break
        }
        guard HTTPText.isJSONNumber(text) else { return nil }
        switch try? JSONReader.parse(Array(text.utf8)) {
        case .integer(let number): return .integer(number)
        case .number(let number): return .number(number)
        default: return nil
        }
    }
}
