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

    /// Whether a hosted service takes no more commands because those paid for are used up (Upstash says
    /// `ERR max requests limit exceeded` or `ERR max daily request limit exceeded`): the store is away until it is paid
    /// for or the period is over.
    public var isOverQuota: Bool {
        let text = message.lowercased()
        return text.contains("max requests limit") || text.contains("max daily request limit")
    }

    public var description: String { message.isEmpty ? code : "\(code) \(message)" }
}
