/// A value of a configuration that is given in code, as a rule written as a literal: a text, a number, a truth value, a list
/// or a section. It stands for what the same would be in the configuration file.
///
/// Never printed: it may be a secret.
public struct Setting: Sendable {
    fileprivate indirect enum Content: Sendable {
        /// As it stands in JSON, which YAML includes.
        case scalar(String)
        case list([Setting])
        case section([(name: String, value: Setting)])
    }

    fileprivate let content: Content

    public init(_ text: String) { content = .scalar(Self.quoted(text)) }
    public init(_ number: Int) { content = .scalar(String(number)) }
    public init(_ isTrue: Bool) { content = .scalar(isTrue ? "true" : "false") }
    public init(_ elements: [Setting]) { content = .list(elements) }

    public init(_ section: [String: Setting]) {
        content = .section(section.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) })
    }
}

extension Setting: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self.init(value) }
    public init(integerLiteral value: Int) { self.init(value) }
    public init(booleanLiteral value: Bool) { self.init(value) }
    public init(arrayLiteral elements: Setting...) { self.init(elements) }

    public init(floatLiteral value: Double) { content = .scalar("\(value)") }

    /// A name that is given twice is reported when the configuration is read, like in a file.
    public init(dictionaryLiteral elements: (String, Setting)...) {
        content = .section(elements.map { (name: $0.0, value: $0.1) })
    }
}

extension Setting: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "set" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension Setting {
    /// The same as text of a configuration file.
    var text: String {
        switch content {
        case .scalar(let text): text
        case .list(let elements): "[" + elements.map(\.text).joined(separator: ", ") + "]"
        case .section(let members):
            "{" + members.map { "\(Self.quoted($0.name, isKey: true)): \($0.value.text)" }.joined(separator: ", ") + "}"
        }
    }

    /// - Parameter isKey: keys are not looked through for variables of the environment, so that a dollar sign is one.
    private static func quoted(_ text: String, isKey: Bool = false) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "$" where !isKey: quoted += "$$"
            // Control characters and the line ends of Unicode, which YAML does not take as they are.
            case _ where scalar.value < 0x20 || (0x7F...0xA0).contains(scalar.value),
                "\u{2028}", "\u{2029}", "\u{FEFF}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
