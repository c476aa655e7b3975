import ConfigurationFile

/// Reads templates:
/// ```
/// template   = { text | "{{" expression "}}" }
/// expression = term { "|" name [ "(" [ expression { "," expression } ] ")" ] }
/// term       = factor { "+" factor }
/// factor     = "'" text "'" | '"' text '"' | name | name "(" [ expression { "," expression } ] ")" | "(" expression ")"
/// name       = letters, digits, "_" and "."
/// ```
/// `x | f(y)` is `f(x, y)`.
struct TemplateParser {
    /// Calls and parentheses in each other.
    private static let maximumDepth = 16

    private let scalars: [Unicode.Scalar]
    private var position = 0

    /// - Parameter literal: what the text between placeholders, and the text in quotes, is replaced by.
    static func parse(
        _ source: String, literal: (String) -> String = { $0 }
    ) throws(TemplateSyntaxError) -> [Template.Part] {
        var parts: [Template.Part] = []
        var rest = source[...]
        while let start = rest.firstRange(of: "{{") {
            let text = literal(String(rest[..<start.lowerBound]))
            if !text.isEmpty { parts.append(.text(text)) }
            let (inside, after) = try split(rest[start.upperBound...])
            var parser = TemplateParser(inside)
            let expression = try parser.expression(depth: 0)
            parser.skipBlanks()
            guard parser.current == nil else { throw parser.error("is not understood from here on") }
            parts.append(.value(expression.mapText(literal)))
            rest = after
        }
        let text = literal(String(rest))
        if !text.isEmpty { parts.append(.text(text)) }
        return parts
    }

    /// Up to the `}}` that is not part of a quoted text.
    private static func split(_ text: Substring) throws(TemplateSyntaxError) -> (Substring, Substring) {
        var quote: Character?
        var index = text.startIndex
        while index < text.endIndex {
            let character = text[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "'" || character == "\"" {
                quote = character
            } else if text[index...].hasPrefix("}}") {
                return (text[..<index], text[index...].dropFirst(2))
            }
            index = text.index(after: index)
        }
        throw TemplateSyntaxError(
            quote == nil ? "has {{ without }}: close the placeholder" : "has a quote in {{ … }} that is never closed")
    }

    private init(_ text: Substring) {
        scalars = Array(text.unicodeScalars)
    }

    private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    /// The whole placeholder may be shown: what is secret stands in names, not in the text of a template.
    private func error(_ problem: String) -> TemplateSyntaxError {
        let text = String(String.UnicodeScalarView(scalars))
        let place = min(position, scalars.count)
        let rest = String(String.UnicodeScalarView(scalars[place...]))
        let at = rest.allSatisfy(\.isWhitespace) ? "at its end" : "at \(Quoted.text(rest))"
        return TemplateSyntaxError("the placeholder {{\(Quoted.text(text).dropFirst().dropLast())}} \(problem) (\(at))")
    }

    private mutating func skipBlanks() {
        while let scalar = current, scalar.properties.isWhitespace { position += 1 }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard current == scalar else { return false }
        position += 1
        return true
    }

    private mutating func expression(depth: Int) throws(TemplateSyntaxError) -> TemplateExpression {
        guard depth < Self.maximumDepth else { throw error("is nested too deeply") }
        var result = try term(depth: depth)
        while take("|") {
            skipBlanks()
            let name = name()
            guard !name.isEmpty else { throw error("needs the name of a function after |") }
            let more = take("(") ? try arguments(depth: depth) : []
            result = try call(name, [result] + more)
        }
        return result
    }

    private mutating func term(depth: Int) throws(TemplateSyntaxError) -> TemplateExpression {
        var terms = [try factor(depth: depth)]
        while take("+") { terms.append(try factor(depth: depth)) }
        return terms.count == 1 ? terms[0] : .joined(terms)
    }

    private mutating func factor(depth: Int) throws(TemplateSyntaxError) -> TemplateExpression {
        skipBlanks()
        switch current {
        case nil: throw error("needs a name, a text in quotes or a function")
        case "'", "\"": return .text(try quoted())
        case "(":
            position += 1
            let inside = try expression(depth: depth + 1)
            guard take(")") else { throw error("has ( without )") }
            return inside
        default:
            let name = name()
            guard !name.isEmpty else { throw error("needs a name, a text in quotes or a function") }
            guard take("(") else { return .name(name) }
            return try call(name, try arguments(depth: depth))
        }
    }

    private mutating func arguments(depth: Int) throws(TemplateSyntaxError) -> [TemplateExpression] {
        if take(")") { return [] }
        var arguments: [TemplateExpression] = []
        repeat { arguments.append(try expression(depth: depth + 1)) } while take(",")
        guard take(")") else { throw error("has ( without )") }
        return arguments
    }

    private mutating func quoted() throws(TemplateSyntaxError) -> String {
        let quote = scalars[position]
        position += 1
        let start = position
        while let scalar = current {
            position += 1
            if scalar == quote { return String(String.UnicodeScalarView(scalars[start..<position - 1])) }
        }
        throw error("has a quote that is never closed")
    }

    private mutating func name() -> String {
        let start = position
        while let scalar = current, Self.isNameScalar(scalar) { position += 1 }
        return String(String.UnicodeScalarView(scalars[start..<position]))
    }

    private static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII && (HTTPText.isAlphanumeric(UInt8(scalar.value)) || scalar == "_" || scalar == ".")
    }

    private func call(
        _ name: String, _ arguments: [TemplateExpression]
    ) throws(TemplateSyntaxError) -> TemplateExpression {
        guard let function = TemplateFunction.named(name) else {
            let hint =
                EditDistance.nearest(to: name, among: TemplateFunction.names).map { "did you mean \($0)?" }
                ?? "there are \(TemplateFunction.names.joined(separator: ", "))"
            throw TemplateSyntaxError("there is no function \(name): \(hint)")
        }
        guard function.arity.contains(arguments.count) else {
            throw TemplateSyntaxError("\(name) is written \(function.usage), not with \(arguments.count) values")
        }
        if function.takesFormat, let format = arguments.first {
            guard case .text(let text) = format else {
                throw TemplateSyntaxError("\(name) needs a text in quotes: \(function.usage)")
            }
            if let problem = MomentFormat.problem(in: text) { throw TemplateSyntaxError(problem) }
        }
        return .call(name, arguments)
    }
}
