import FoundationEssentials

/// The body of a token endpoint's answer as far as it is understood: RFC 6749 §5.1 and §5.2 and the usual variations.
/// A member of an unexpected type counts as absent.
struct TokenAnswer: Decodable {
    /// A number, or a text that may be one.
    enum Loose: Decodable {
        case number(Double)
        case text(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        var number: Double? {
            switch self {
            case .number(let number): number
            case .text(let text): Double(text)
            }
        }

        var text: String {
            switch self {
            case .number(let number): Int(exactly: number).map(String.init) ?? "\(number)"
            case .text(let text): text
            }
        }
    }

    var accessToken: String?
    var refreshToken: String?
    var tokenType: String?
    var expiresIn: Loose?
    var expiresAt: Loose?
    /// The most telling first.
    var errorCodes: [String] = []
    var errorDescription: String?

    private enum Key: String, CodingKey {
        case accessToken = "access_token"
        case refreshToken = "refresh_token"
        case tokenType = "token_type"
        case expiresIn = "expires_in"
        case expiresAt = "expires_at"
        case error
        case errorDescription = "error_description"
    }

    private struct NestedError: Decodable {
        var code: Loose?
        var type: String?
        var message: String?

        private enum Key: String, CodingKey { case code, type, message }

        init(from decoder: any Decoder) throws {
            let members = try decoder.container(keyedBy: Key.self)
            code = try? members.decode(Loose.self, forKey: .code)
            type = try? members.decode(String.self, forKey: .type)
            message = try? members.decode(String.self, forKey: .message)
        }
    }

    init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: Key.self)
        accessToken = try? members.decode(String.self, forKey: .accessToken)
        refreshToken = try? members.decode(String.self, forKey: .refreshToken)
        tokenType = try? members.decode(String.self, forKey: .tokenType)
        expiresIn = try? members.decode(Loose.self, forKey: .expiresIn)
        expiresAt = try? members.decode(Loose.self, forKey: .expiresAt)
        errorDescription = try? members.decode(String.self, forKey: .errorDescription)
        if let code = try? members.decode(String.self, forKey: .error) {
            errorCodes = [code]
        } else if let nested = try? members.decode(NestedError.self, forKey: .error) {
            errorCodes = [nested.code?.text, nested.type].compactMap { $0 }
            errorDescription = errorDescription ?? nested.message
        }
        errorCodes.removeAll { $0.isEmpty }
    }

    /// Bodies beyond this many bytes are not looked at: no token endpoint has so much to say.
    static let maximumSize = 1 << 20

    /// Nil when `body` is not a JSON object.
    static func parse(_ body: [UInt8]) -> TokenAnswer? {
        guard !body.isEmpty, body.count <= maximumSize else { return nil }
        return try? JSONDecoder().decode(TokenAnswer.self, from: Data(body))
    }
}
