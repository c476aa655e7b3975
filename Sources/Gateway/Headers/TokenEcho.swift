import Providers
import RefreshCore

/// Keeps the token of a try from coming back to the caller, who is not to know it, in the headers and trailers of the answer:
/// servers tell places with the query that they were asked with, and set the cookie anew that they were sent.
struct TokenEcho: Sendable {
    /// What is shorter, in bytes, is not looked for among other text: it would be found where it is none.
    static let shortest = 8
    /// Their values hold URLs (RFC 9110 §10.2.2 and §8.7, RFC 8288, and a browsers' one).
    private static let places: Set<String> = ["location", "content-location", "link", "refresh"]

    private let token: [UInt8]
    /// As it stands in base64, alone and in the credential that it is sent in.
    private let encodings: [[UInt8]]
    private let injection: TokenInjection

    init(_ token: Secret, _ injection: TokenInjection) {
        self.token = Array(token.reveal().utf8)
        self.injection = injection
        var encodings = [Array(HTTPText.base64(token.reveal()).utf8)]
        if case .basic = injection, let credential = try? injection.credential(token),
            case .header(_, let header) = credential
        {
            // Without `Basic `.
            encodings.append(Array(header.reveal().utf8.dropFirst(6)))
        }
        self.encodings = encodings
    }

    /// Without such fields, and without a reason that has the token in it.
    func removed(from head: GatewayAnswerHead) -> GatewayAnswerHead {
        GatewayAnswerHead(
            status: head.status, reason: holdsToken(head.reason) ? "" : head.reason,
            headers: removed(from: head.headers))
    }

    /// Without a cookie of the token's name, without the token's parameter in places, and without any field that has the
    /// token in its value, as it is or encoded.
    func removed(from fields: [HeaderField]) -> [HeaderField] {
        var kept: [HeaderField] = []
        kept.reserveCapacity(fields.count + 3)
        for var field in fields {
            let name = field.name.lowercased()
            if name == "set-cookie", case .cookie(let cookie) = injection,
                field.value.prefix(while: { $0 != "=" && $0 != ";" }).trimmingBlanks == cookie
            {
                continue
            }
            if case .query(let parameter) = injection, Self.places.contains(name) {
                field.value = Self.removing(parameter, from: field.value)
            }
            // The length frames the body.
            if name != "content-length", holdsToken(field.value) { continue }
            kept.append(field)
        }
        return kept
    }

    /// Without the parameter in all queries that the text holds.
    static func removing(_ parameter: String, from text: String) -> String {
        var result = ""
        var rest = text[...]
        while let mark = rest.firstIndex(of: "?") {
            let query = rest[rest.index(after: mark)...].prefix { !"#>\"' ".contains($0) }
            let left = QueryParameters.removing(parameter, from: query)
            result += rest[..<mark]
            if !left.isEmpty || query.isEmpty { result += "?" + left }
            rest = rest[query.endIndex...]
        }
        return result + rest
    }

    private func holdsToken(_ value: String) -> Bool {
        guard token.count >= Self.shortest, value.utf8.count >= token.count else { return false }
        let bytes = Array(value.utf8)
        if Self.holds(bytes, token) || encodings.contains(where: { Self.holds(bytes, $0) }) { return true }
        // Encoded once, or by each of two servers.
        var decoded = bytes
        for _ in 0..<2 where decoded.contains(UInt8(ascii: "%")) {
            decoded = PathResolution.decoded(decoded).bytes
            if Self.holds(decoded, token) { return true }
        }
        return false
    }

    private static func holds(_ bytes: [UInt8], _ needle: [UInt8]) -> Bool {
        guard bytes.count >= needle.count, let first = needle.first else { return false }
        return (0...(bytes.count - needle.count)).contains { start in
            bytes[start] == first && bytes[start..<(start + needle.count)].elementsEqual(needle)
        }
    }
}
