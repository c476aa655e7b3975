import RefreshCore

/// Makes what a provider wrote fit for logs: one short line without anything that could be a token.
struct Scrubber {
    static let maximumLength = 160

    private let secrets: [String]

    init(secrets: [Secret?]) {
        // Shorter ones would blank out ordinary words.
        self.secrets = secrets.compactMap { $0?.reveal() }.filter { $0.utf8.count >= 4 }
    }

    func scrub(_ text: String) -> String {
        var text = String(text.unicodeScalars.prefix(4096).map(Self.visible))
        for secret in secrets { text = text.replacing(secret, with: "***") }
        let words = text.split(separator: " ").map { Self.scrub(word: $0) }
        let line = words.joined(separator: " ")
        guard line.count > Self.maximumLength else { return line }
        return line.prefix(Self.maximumLength) + "…"
    }

    /// An error code as it may be shown; nil where it has not the shape of one.
    func code(_ code: String) -> String? {
        guard (1...64).contains(code.utf8.count),
            code.utf8.allSatisfy({ HTTPText.isAlphanumeric($0) || Array("_-.:/".utf8).contains($0) }),
            !Self.looksLikeToken(code[...]), !secrets.contains(where: { code.contains($0) })
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
    private static func scrub(word: Substring) -> String {
        var result = ""
        var rest = word
        while !rest.isEmpty {
            let run = rest.prefix(while: isTokenCharacter)
            result += looksLikeToken(run) ? "***" : String(run)
            rest = rest.dropFirst(run.count)
            let other = rest.prefix { !isTokenCharacter($0) }
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
    private static func looksLikeToken(_ run: Substring) -> Bool {
        let bytes = run.utf8
        guard bytes.count >= 20 else { return false }
        let hasDigit = bytes.contains { (0x30...0x39).contains($0) }
        let hasUpper = bytes.contains { (0x41...0x5A).contains($0) }
        let hasLower = bytes.contains { (0x61...0x7A).contains($0) }
        return hasDigit || (hasUpper && hasLower) || bytes.count >= 48
    }

    /// Blanks every occurrence of `secret` in a body, also as JSON and as form writers escape it.
    static func redact(_ secret: Secret, in body: [UInt8]) -> [UInt8] {
        let plain = secret.reveal()
        guard plain.utf8.count >= 6 else { return body }
        var body = body
        for form in Set([plain, plain.replacing("/", with: "\\/"), HTTPText.formEncoded(plain)]) {
            let found = body.replacing(Array(form.utf8), with: Array("***".utf8))
            body = found
        }
        return body
    }
}
