import FoundationEssentials
import JSONText
import RefreshCore

/// Signed JSON Web Tokens in the compact form (RFC 7515 §3.1).
enum JSONWebToken {
    /// The `exp` claim (RFC 7519 §4.1.4); nil where there is none. The signature is not checked: the token comes from
    /// its issuer.
    static func expiry(of token: String) -> WallTime? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = HTTPText.base64URLDecoded(parts[1]),
            let claims = try? JSONReader.parse(payload, .lenient, maximumDepth: TokenAnswer.maximumDepth)
        else { return nil }
        let seconds: Double
        switch claims["exp"] {
        case .integer(let number)?: seconds = Double(number)
        case .number(let number)?: seconds = number
        default: return nil
        }
        guard seconds.isFinite, seconds > 0 else { return nil }
        return WallTime(seconds: seconds)
    }

    /// - Parameters:
    ///   - header: members beside `alg` and `typ`, in order.
    ///   - claims: the payload, in order.
    static func sign(
        header: [JSONValue.Member] = [], claims: [JSONValue.Member], with key: SigningKey
    ) throws(TemplateFailure) -> String {
        let head: [JSONValue.Member] = [
            .init(name: "alg", value: .string(key.algorithm.rawValue)), .init(name: "typ", value: .string("JWT")),
        ]
        let signed = [JSONValue.object(head + header), .object(claims)]
            .map { HTTPText.base64URL(Array($0.serialized.utf8)) }.joined(separator: ".")
        return "\(signed).\(HTTPText.base64URL(try key.signature(of: Array(signed.utf8))))"
    }
}
