import RefreshCore

/// Makes what a provider wrote fit for logs: one short line without anything that could be a token.
struct Scrubber {
    static let maximumLength = 160

    private let traces: SecretTraces
    /// How many characters in a row look like a token where no word is like this.
    private let tokenLength: Int

    /// - Parameter tokenLength: less than the default where there may be parts of tokens that nobody here knows.
    init(secrets: [Secret], tokenLength: Int = 20) {
        traces = SecretTraces(of: secrets, shortest: 4)
        self.tokenLength = tokenLength
    }

    func scrub(_ text: String) -> String {
        // Before control characters go, which may be a secret's own.
        let blanked = traces.blanked(String(String.UnicodeScalarView(text.unicodeScalars.prefix(4096))))
        let text = String(blanked.unicodeScalars.map(Self.visible))
        let words = text.split(separator: " ").map { scrub(word: $0) }
        let line = words.joined(separator: " ")
        guard line.count > Self.maximumLength else { return line }
        return line.prefix(Self.maximumLength) + "…"
    }

    /// An error code as it may be shown; nil where it has not the shape of one.
    func code(_ code: String) -> String? {
        guard (1...64).contains(code.utf8.count),
            code.utf8.allSatisfy({ HTTPText.isAlphanumeric($0) || Array("_-.:/".utf8).contains($0) }),
            !looksLikeToken(code[...]), !traces.areIn(code)
        else { return nil }
        return code
    }

    private static func visible(_ scalar: Unicode.Scalar) -> Character {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .unassigned, .privateUse, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            " "
        default: Character(scalar)
        }
    }

    /// Replaces the runs of token characters that look like one; punctuation around them stays.
    private func scrub(word: Substring) -> String {
        var result = ""
        var rest = word
        while !rest.isEmpty {
            let run = rest.prefix(while: Self.isTokenCharacter)
            result += looksLikeToken(run) ? "***" : String(run)
            rest = rest.dropFirst(run.count)
            let other = rest.prefix { !Self.isTokenCharacter($0) }
            result += other
            rest = rest.dropFirst(other.count)
        }
        return result
    }

    private static func isTokenCharacter(_ character: Character) -> Bool {
        guard let byte = character.asciiValue else { return false }
        return HTTPText.isAlphanumeric(byte) || Array("_-.~+/=%".utf8).contains(byte)
    }

    /// Long, and with digits or upper and lower case mixed, unlike the words of error codes.
    private func looksLikeToken(_ run: Substring) -> Bool {
        let bytes = run.utf8
        guard bytes.count >= tokenLength else { return false }
        let hasDigit = bytes.contains { (0x30...0x39).contains($0) }
        let hasUpper = bytes.contains { (0x41...0x5A).contains($0) }
        let hasLower = bytes.contains { (0x61...0x7A).contains($0) }
        return hasDigit || (hasUpper && hasLower) || bytes.count >= 48
    }
}

extension RawTokenResponse {
    /// Without what it quotes of `secrets`: whoever reads the answer later does not know what was sent. No header holds
    /// a token.
    ///
    /// - Parameter isBodyKept: the body stays as it is, because a token in it may be the one to keep.
    func without(_ secrets: [Secret], isBodyKept: Bool) -> RawTokenResponse {
        let traces = SecretTraces(of: secrets, shortest: 6, in: isBodyKept ? headers.map(\.value) : nil)
        var answer = self
        if !isBodyKept { answer.body = traces.blanked(body) }
        answer.headers = headers.map { Header(name: $0.name, value: traces.blanked($0.value)) }
        return answer
    }
}
