import FoundationEssentials

/// An account as an instance shows it.
struct AccountView: Sendable, Decodable {
    struct Fault: Sendable, Decodable {
        var kind: String
        var message: String
    }

    var status: String
    var generation: Int64
    var lastFault: Fault?

    private enum CodingKeys: String, CodingKey {
        case status, generation
        case lastFault = "last_fault"
    }

    /// For findings.
    var words: String {
        "status \(status), generation \(generation)"
            + (lastFault.map { ", last fault \($0.kind): \($0.message)" } ?? "")
    }
}

/// The body of `PUT /v1/accounts/{id}`.
struct AccountBody: Sendable, Encodable {
    var provider: String
    var refreshToken: String?
    var credentials: [String: String]?
    var accessToken: String?
    /// Seconds since 1970.
    var expiresAt: Int64?

    init(provider: String) { self.provider = provider }

    private enum CodingKeys: String, CodingKey {
        case provider, credentials
        case refreshToken = "refresh_token"
        case accessToken = "access_token"
        case expiresAt = "expires_at"
    }
}

/// What an instance answers to a request for a token.
struct TokenReply: Sendable {
    struct Document: Sendable, Decodable {
        var accessToken: String
        /// RFC 3339.
        var expiresAt: String
        var generation: Int64

        private enum CodingKeys: String, CodingKey {
            case accessToken = "access_token"
            case expiresAt = "expires_at"
            case generation
        }
    }

    var status: Int
    /// Of a problem (RFC 9457).
    var code: String?
    var retryAfter: String?
    /// Nil unless the status is 200.
    var document: Document?
    var headers: [(name: String, value: String)]

    /// For findings; never the token.
    var words: String { "HTTP \(status)" + (code.map { " \($0)" } ?? "") }
}
