#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A POSIX extended regular expression (regex(7), as `grep -Ei` takes it), in which upper and lower case are the same.
///
/// Those of the C library and not Swift's: answers come from outside, and what they are matched against must not take
/// exponential time. Back references, which could, are refused.
public struct TextPattern: Sendable, Hashable {
    public let source: String

    public struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    static let maximumLength = 1024

    /// No more than this many bytes of a text are looked at.
    static let searched = 64 * 1024

    private static let flags = REG_EXTENDED | REG_ICASE | REG_NOSUB

    /// - Throws: ``Malformed`` with the reason of the C library.
    public init(_ source: String) throws(Malformed) {
        guard source.utf8.count <= Self.maximumLength, !source.utf8.contains(0) else {
            throw Malformed(description: "is no regular expression of at most \(Self.maximumLength) bytes")
        }
        if let advice = Self.advice(on: source) { throw Malformed(description: advice) }
        self.source = source
        var expression = regex_t()
        let code = regcomp(&expression, source, Self.flags)
        guard code == 0 else {
            var text = [CChar](repeating: 0, count: 200)
            _ = regerror(code, &expression, &text, text.count)
            let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw Malformed(description: "is not a regular expression: \(reason)")
        }
        regfree(&expression)
    }

    /// What other dialects have and this one reads as something else.
    private static func advice(on source: String) -> String? {
        if source.contains("(?") {
            return "has (?…), which POSIX regular expressions do not: upper and lower case are the same here anyway"
        }
        var isEscaped = false
        for character in source {
            if isEscaped {
                switch character {
                case "d": return "has \\d, which POSIX regular expressions do not: write [0-9]"
                case "1"..."9": return "has a back reference, which could take exponential time"
                default: break
                }
                isEscaped = false
            } else {
                isEscaped = character == "\\"
            }
        }
        return nil
    }

    /// Whether it is found anywhere in `text`.
    func matches(_ text: some Collection<UInt8>) -> Bool {
        var expression = regex_t()
        guard regcomp(&expression, source, Self.flags) == 0 else { return false }
        defer { regfree(&expression) }
        // A NUL would end the text.
        var bytes = text.prefix(Self.searched).map { CChar(bitPattern: $0 == 0 ? 0x20 : $0) }
        bytes.append(0)
        return regexec(&expression, bytes, 0, nil, 0) == 0
    }
}
