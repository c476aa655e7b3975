import Crypto
import FoundationEssentials
import RefreshCore

/// What a placeholder can compute. Everything is text: digests are hexadecimal unless the name says otherwise.
struct TemplateFunction: Sendable {
    let name: String
    let arity: ClosedRange<Int>
    let usage: String
    private let body: @Sendable ([String], TemplateValues) throws(TemplateFailure) -> String

    func apply(_ arguments: [String], _ values: TemplateValues) throws(TemplateFailure) -> String {
        guard arity.contains(arguments.count) else { throw TemplateFailure("\(name) is written \(usage)") }
        return try body(arguments, values)
    }

    /// Whether the first argument is a time format, which has to be written out.
    var takesFormat: Bool { Self.moments.contains(name) }

    /// Functions of the moment of the request.
    static let moments: Set<String> = ["now.format"]

    static func named(_ name: String) -> TemplateFunction? { byName[name] }

    static let names: [String] = byName.keys.sorted()

    private static let byName: [String: TemplateFunction] = Dictionary(
        uniqueKeysWithValues: (digests + authenticated + encodings + others).map { ($0.name, $0) })

    // MARK: Digests (RFC 1321, FIPS 180-4, RFC 2104)

    private static func forms(
        _ name: String, _ arguments: String, arity: Int,
        _ digest: @escaping @Sendable ([String]) -> [UInt8]
    ) -> [TemplateFunction] {
        [
            TemplateFunction(name: name, arity: arity...arity, usage: "\(name)(\(arguments))") {
                given, _ throws(TemplateFailure) in HTTPText.hexadecimal(digest(given))
            },
            TemplateFunction(name: "\(name)_base64", arity: arity...arity, usage: "\(name)_base64(\(arguments))") {
                given, _ throws(TemplateFailure) in Data(digest(given)).base64EncodedString()
            },
            TemplateFunction(
                name: "\(name)_base64url", arity: arity...arity, usage: "\(name)_base64url(\(arguments))"
            ) { given, _ throws(TemplateFailure) in HTTPText.base64URL(digest(given)) },
        ]
    }

    private static let digests: [TemplateFunction] =
        forms("md5", "text", arity: 1) { Array(Insecure.MD5.hash(data: Data($0[0].utf8))) }
        + forms("sha1", "text", arity: 1) { Array(Insecure.SHA1.hash(data: Data($0[0].utf8))) }
        + forms("sha256", "text", arity: 1) { Array(SHA256.hash(data: Data($0[0].utf8))) }
        + forms("sha512", "text", arity: 1) { Array(SHA512.hash(data: Data($0[0].utf8))) }

    private static let authenticated: [TemplateFunction] =
        forms("hmac_sha1", "text, key", arity: 2) { given in
            Array(HMAC<Insecure.SHA1>.authenticationCode(for: Data(given[0].utf8), using: key(given[1])))
        }
        + forms("hmac_sha256", "text, key", arity: 2) { given in
            Array(HMAC<SHA256>.authenticationCode(for: Data(given[0].utf8), using: key(given[1])))
        }
        + forms("hmac_sha512", "text, key", arity: 2) { given in
            Array(HMAC<SHA512>.authenticationCode(for: Data(given[0].utf8), using: key(given[1])))
        }

    private static func key(_ text: String) -> SymmetricKey { SymmetricKey(data: Data(text.utf8)) }

    // MARK: Encodings

    private static func encoding(
        _ name: String, _ apply: @escaping @Sendable (String) throws(TemplateFailure) -> String
    ) -> TemplateFunction {
        TemplateFunction(name: name, arity: 1...1, usage: "\(name)(text)") { given, _ throws(TemplateFailure) in
            try apply(given[0])
        }
    }

    private static let encodings: [TemplateFunction] = [
        // RFC 4648 §4 with padding, §5 without.
        encoding("base64") { text throws(TemplateFailure) in Data(text.utf8).base64EncodedString() },
        encoding("base64url") { text throws(TemplateFailure) in HTTPText.base64URL(Array(text.utf8)) },
        // RFC 3986 §2.3: all but the unreserved characters.
        encoding("urlencode") { text throws(TemplateFailure) in HTTPText.percentEncoded(text) },
        // RFC 6749 Appendix B.
        encoding("form_encode") { text throws(TemplateFailure) in HTTPText.formEncoded(text) },
        // A JSON text in its quotes (RFC 8259 §7).
        encoding("json") { text throws(TemplateFailure) in HTTPText.jsonString(text) },
        encoding("lower") { text throws(TemplateFailure) in text.lowercased() },
        encoding("upper") { text throws(TemplateFailure) in text.uppercased() },
        encoding("number") { text throws(TemplateFailure) in
            guard HTTPText.isJSONNumber(text) else { throw TemplateFailure("number was given something else") }
            return text
        },
    ]

    private static let others: [TemplateFunction] = [
        // RFC 7617 §2.
        TemplateFunction(name: "basic", arity: 2...2, usage: "basic(user, password)") {
            given, _ throws(TemplateFailure) in "Basic " + Data("\(given[0]):\(given[1])".utf8).base64EncodedString()
        },
        TemplateFunction(name: "now.format", arity: 1...1, usage: "now.format('%Y-%m-%dT%H:%M:%SZ')") {
            given, values throws(TemplateFailure) in MomentFormat.text(values.moment, given[0])
        },
    ]
}
