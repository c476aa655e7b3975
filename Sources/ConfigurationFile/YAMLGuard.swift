/// Looks over YAML text before the parser gets it, and refuses what a configuration has no use for and what can make
/// parsing expensive: anchors and aliases (with which a few lines become gigabytes), tabs as indentation, deep nesting.
///
/// It knows just enough of YAML to tell indicators from the inside of quotes, comments and block scalars. Where it
/// cannot tell, in the later lines of an unquoted text, it refuses, and quoting the text helps.
struct YAMLGuard {
    struct Refusal: Error {
        var line: Int
        var column: Int
        var message: String
    }

    static let maximumDepth = 32
    static let maximumIndentation = 256

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var lineStart = 0
    private var flowDepth = 0
    /// Columns at which collections of this line begin, from 0; the last one is the parent of a block scalar.
    private var starts: [Int] = []

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    static func check(_ bytes: [UInt8]) throws(Refusal) {
        var scan = YAMLGuard(bytes)
        try scan.run()
    }

    private mutating func run() throws(Refusal) {
        while position < bytes.count {
            try readLine()
        }
    }

    /// From the start of a line to the start of the next line that is not part of a quoted or block scalar.
    private mutating func readLine() throws(Refusal) {
        lineStart = position
        starts = []
        while peek == UInt8(ascii: " ") { position += 1 }
        guard column <= Self.maximumIndentation else { throw refusal("is indented too deeply") }
        if peek == UInt8(ascii: "\t") {
            var after = position
            while after < bytes.count, bytes[after] == UInt8(ascii: "\t") || bytes[after] == UInt8(ascii: " ") {
                after += 1
            }
            let isBlank = after >= bytes.count || isLineEnd(bytes[after]) || bytes[after] == UInt8(ascii: "#")
            guard isBlank || flowDepth > 0 else { throw refusal("a tab cannot indent YAML: use spaces") }
        }
        try readTokens()
    }

    private mutating func readTokens() throws(Refusal) {
        var atTokenStart = true
        while let byte = peek {
            if isLineEnd(byte) {
                endLine()
                return
            }
            if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") {
                position += 1
                if peek == UInt8(ascii: "#") { skipToLineEnd() }
                continue
            }
            if atTokenStart {
                atTokenStart = try readToken(byte)
            } else {
                atTokenStart = try readPlain(byte)
            }
        }
    }

    /// At the first byte of a token. Returns whether the next one is at a token's start again.
    private mutating func readToken(_ byte: UInt8) throws(Refusal) -> Bool {
        switch byte {
        case UInt8(ascii: "#") where column == 0:
            skipToLineEnd()
            return true
        case UInt8(ascii: "&"), UInt8(ascii: "*"):
            guard let after = next, !isBlank(after) else { break }
            throw refusal(
                "anchors and aliases are not supported: write the value out, or put it in quotes if it is text")
        case UInt8(ascii: "-"), UInt8(ascii: "?"):
            guard flowDepth == 0, next.map(isBlank) ?? true else { break }
            starts.append(column)
            guard starts.count <= Self.maximumDepth else { throw refusal("is nested too deeply") }
            position += 1
            return true
        case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: ","):
            return try readFlowIndicator(byte)
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            skipQuoted(byte)
            return false
        case UInt8(ascii: "|"), UInt8(ascii: ">"):
            guard flowDepth == 0 else { break }
            skipBlockScalar()
            return true
        case UInt8(ascii: "!"):
            // A tag; what it is put on comes next.
            while let byte = peek, !isBlank(byte) { position += 1 }
            return true
        default: break
        }
        if flowDepth == 0 { starts.append(column) }
        return try readPlain(byte)
    }

    private mutating func readFlowIndicator(_ byte: UInt8) throws(Refusal) -> Bool {
        let opens = byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{")
        if opens {
            flowDepth += 1
            guard flowDepth <= Self.maximumDepth else { throw refusal("is nested too deeply") }
        } else if byte != UInt8(ascii: ","), flowDepth > 0 {
            flowDepth -= 1
        }
        position += 1
        return opens || byte == UInt8(ascii: ",")
    }

    /// Inside an unquoted text, or after a quoted one: on to the next indicator of this line.
    private mutating func readPlain(_ first: UInt8) throws(Refusal) -> Bool {
        var byte = first
        while true {
            if byte == UInt8(ascii: ":"), next.map({ isBlank($0) || (flowDepth > 0 && isFlowIndicator($0)) }) ?? true {
                position += 1
                return true
            }
            if flowDepth > 0, isFlowIndicator(byte) { return try readFlowIndicator(byte) }
            position += 1
            guard let following = peek, !isBlank(following) else { return false }
            byte = following
        }
    }

    private mutating func skipQuoted(_ quote: UInt8) {
        if flowDepth == 0 { starts.append(column) }
        position += 1
        while let byte = peek {
            position += 1
            if byte == UInt8(ascii: "\n") { startLine() }
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\""), let escaped = peek {
                position += 1
                if escaped == UInt8(ascii: "\n") { startLine() }
            } else if byte == quote {
                guard quote == UInt8(ascii: "'"), peek == quote else { return }
                position += 1
            }
        }
    }

    /// Skips the lines that are indented more than what the block scalar belongs to.
    private mutating func skipBlockScalar() {
        let parent = starts.last ?? -1
        skipToLineEnd()
        endLine()
        while position < bytes.count {
            var end = position
            while end < bytes.count, bytes[end] == UInt8(ascii: " ") { end += 1 }
            let isEmpty = end >= bytes.count || isLineEnd(bytes[end])
            guard isEmpty || end - position > parent else { break }
            position = end
            skipToLineEnd()
            endLine()
        }
        lineStart = position
        starts = []
        while peek == UInt8(ascii: " ") { position += 1 }
    }

    private mutating func skipToLineEnd() {
        while let byte = peek, !isLineEnd(byte) { position += 1 }
    }

    private mutating func endLine() {
        if peek == UInt8(ascii: "\r") { position += 1 }
        if peek == UInt8(ascii: "\n") { position += 1 }
        startLine()
    }

    private mutating func startLine() {
        line += 1
        lineStart = position
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }
    private var next: UInt8? { position + 1 < bytes.count ? bytes[position + 1] : nil }
    private var column: Int { position - lineStart }

    private func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
    private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || isLineEnd(byte) }
    private func isFlowIndicator(_ byte: UInt8) -> Bool { Self.flowIndicators.contains(byte) }
    private static let flowIndicators = Array("[]{},".utf8)

    private func refusal(_ message: String) -> Refusal {
        Refusal(line: line, column: column + 1, message: message)
    }
}
