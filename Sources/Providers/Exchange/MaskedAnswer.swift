public import RefreshCore

/// A token endpoint's answer as a person may see it: who looks into a journal learns why an answer was of no use, and
/// never a token.
public struct MaskedAnswer: Sendable, Hashable {
    public var status: Int
    public var headers: [RawTokenResponse.Header]
    /// One line; every quoted value but those of error codes and the like is masked, numbers and names are not.
    public var body: String
    /// The true length, in bytes.
    public var bodyLength: Int

    /// Bodies are shown up to this many bytes.
    public static let shownBody = 4096

    /// - Parameter secrets: what must not be shown wherever it stands, besides what looks like a token.
    public init(_ response: RawTokenResponse, secrets: [Secret] = []) {
        let scrubber = Scrubber(secrets: secrets)
        status = response.status
        headers = response.headers.map { header in
            let isPlain = Self.plainHeaders.contains(header.name.lowercased())
            return RawTokenResponse.Header(
                name: scrubber.scrub(header.name), value: isPlain ? scrubber.scrub(header.value) : "***")
        }
        bodyLength = response.body.count
        // A 2xx may hold tokens that nobody here knows, and quote parts of them.
        var masker = BodyMasker(
            scrubber: response.mayHoldTokens
                ? Scrubber(secrets: secrets, tokenLength: SecretTraces.partLength) : scrubber)
        body = masker.mask(String(decoding: response.body.prefix(Self.shownBody), as: UTF8.self))
        if response.body.count > Self.shownBody { body += " …" }
    }

    /// Headers whose values cannot be secrets, and which say something of what went wrong.
    private static let plainHeaders: Set<String> = [
        "age", "cache-control", "connection", "content-encoding", "content-length", "content-type", "date", "pragma",
        "retry-after", "server", "transfer-encoding", "vary", "via", "www-authenticate",
    ]
}

extension ProviderDefinition {
    /// An answer of this provider as a person may see it: without the operator's secrets, and without `secrets`.
    public func masked(_ response: RawTokenResponse, besides secrets: [Secret] = []) -> MaskedAnswer {
        MaskedAnswer(response, secrets: self.secrets + secrets)
    }
}

/// Goes through a body of whatever kind, whole or cut off: JSON, form fields or plain text.
private struct BodyMasker {
    let scrubber: Scrubber
    /// The member whose value comes next.
    private var member = ""
    private var result = ""

    /// Members whose values are no secrets; what looks like a token in them is masked all the same.
    private static let plainMembers: Set<String> = [
        "code", "error", "error_description", "expires_in", "message", "scope", "status", "token_type", "type",
    ]

    init(scrubber: Scrubber) {
        self.scrubber = scrubber
    }

    mutating func mask(_ text: String) -> String {
        var rest = text[...]
        while let first = rest.first {
            if first == "\"" {
                takeQuoted(&rest)
            } else if first == "=" {
                result.append("=")
                rest.removeFirst()
                takeFormValue(&rest)
            } else {
                let plain = rest.prefix { $0 != "\"" && $0 != "=" }
                rest = rest[plain.endIndex...]
                takePlain(plain)
            }
        }
        return result
    }

    /// The name of a member is shown, a value only where its member is harmless. A quote that never ends is a value.
    private mutating func takeQuoted(_ rest: inout Substring) {
        rest.removeFirst()
        var content = ""
        var isEscaped = false
        var isClosed = false
        while let character = rest.popFirst() {
            if !isEscaped, character == "\"" {
                isClosed = true
                break
            }
            isEscaped = !isEscaped && character == "\\"
            content.append(character)
        }
        let isName = isClosed && rest.drop(while: \.isWhitespace).first == ":"
        if isName {
            member = content.lowercased()
            result += "\"\(scrubber.scrub(content))\""
        } else if Self.plainMembers.contains(member), isClosed {
            result += "\"\(scrubber.scrub(content))\""
        } else {
            result += isClosed ? "\"***\"" : "\"***"
        }
    }

    private mutating func takeFormValue(_ rest: inout Substring) {
        let value = rest.prefix { $0 != "&" && $0 != "\"" && !$0.isWhitespace }
        rest = rest[value.endIndex...]
        guard !value.isEmpty else { return }
        result += Self.plainMembers.contains(member) ? scrubber.scrub(String(value)) : "***"
    }

    /// Punctuation, numbers, words outside quotes.
    private mutating func takePlain(_ text: Substring) {
        // A name before "=" is the last word of the run.
        let name = text.reversed().prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        member = name.isEmpty ? member : String(name.reversed()).lowercased()
        let lead = text.first?.isWhitespace == true ? " " : ""
        let trail = text.count > 1 && text.last?.isWhitespace == true ? " " : ""
        result += lead + Self.maskShortTokens(scrubber.scrub(String(text))) + trail
    }

    /// Outside quotes a shorter run is suspicious too, where it mixes letters and digits.
    private static func maskShortTokens(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while !rest.isEmpty {
            let run = rest.prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
            let isToken = run.count >= 8 && run.contains(where: \.isLetter) && run.contains(where: \.isNumber)
            result += isToken ? "***" : String(run)
            rest = rest.dropFirst(run.count)
            if let other = rest.popFirst() { result.append(other) }
        }
        return result
    }
}
