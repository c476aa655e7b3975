/// An error reply, split as Redis means it: the first word is a code, the rest is for people.
public struct RedisServerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// `ERR`, `NOSCRIPT`, `OOM`, `READONLY`, `WRONGPASS`, `MOVED`, … or `ERR` where the server named none.
    public let code: String
    /// The text after the code.
    public let message: String

    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }

    /// Splits an error line, without its leading `-`.
    init(line: String) {
        let word = line.prefix { $0 != " " }
        if !word.isEmpty,
            word.utf8.allSatisfy({ (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F })
        {
            self.init(code: String(word), message: String(line.dropFirst(word.count).drop { $0 == " " }))
        } else {
            self.init(code: "ERR", message: line)
        }
    }

    public var description: String { message.isEmpty ? code : "\(code) \(message)" }
}
