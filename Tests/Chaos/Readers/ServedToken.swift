import FoundationEssentials

/// What `GET /v1/accounts/{id}/token` answered.
struct ServedToken: Decodable, Sendable {
    var accessToken: String
    var generation: Int64

    private enum CodingKeys: String, CodingKey {
        case accessToken = "access_token"
        case generation
    }

    /// When the provider stops taking it, in milliseconds since 1970: tokens of the mock provider say so themselves
    /// (`mat_`, family, serial, expiry, check, in hexadecimal). Nil for one that is not its.
    var expiresAt: Int64? {
        let digits = accessToken.utf8.dropFirst(4 + 8 + 8)
        guard accessToken.hasPrefix("mat_"), digits.count == 32 else { return nil }
        return UInt64(Substring(digits.prefix(16)), radix: 16).map { Int64(bitPattern: $0) }
    }
}
