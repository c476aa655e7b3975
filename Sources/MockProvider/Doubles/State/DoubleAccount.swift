import Crypto

/// One account at a double: what it may present, what it was given, and what it is to meet.
struct DoubleAccount: Sendable {
    let id: String
    /// Intranet.
    var password: String?
    /// The refresh token that is good; nil where there are none.
    var refreshToken: String?
    var isRevoked = false
    var script = DoubleScript()
    var apiScript = DoubleScript()
    /// Access tokens issued, with their end.
    var accessTokens: [String: MockInstant] = [:]
    /// Nil: what holds for all.
    var quota: DoubleQuota?
    var meter = DoubleMeter()
    var tokenMeters: [String: DoubleMeter] = [:]

    mutating func clearMeters() {
        meter = DoubleMeter()
        tokenMeters = [:]
    }

    /// Nil: the call is served.
    mutating func spend(_ quota: DoubleQuota, token: String, at now: MockInstant) -> MockInstant? {
        switch quota.scope {
        case .account: meter.take(quota, at: now)
        case .token: tokenMeters[token, default: DoubleMeter()].take(quota, at: now)
        }
    }
}

/// What an account is put into a client with.
public struct DoubleGrant: Sendable, Hashable {
    public let account: String
    /// Nil where the provider has none.
    public let refreshToken: String?
    public let accessToken: String
    public let expiresAt: MockInstant
    /// Intranet: what to log in with.
    public let password: String?
}

extension DoubleGrant: Redacted {
    public var description: String { "grant of \(account)" }
}

/// Makes the tokens of one double. Each looks like one of its provider, and has the characters that go wrong in URLs,
/// forms and shells as far as tokens may have them (RFC 6749 Appendix A.12, A.17).
struct DoubleTokens: Sendable {
    private let row: DoubleRow
    private let isJWT: Bool
    private let key: SymmetricKey
    private var generator: SeededGenerator

    init(_ configuration: DoubleConfiguration, seed: UInt64) {
        row = configuration.row
        isJWT = row == .warp || row == .openai || configuration.style.expiry == .claim
        generator = SeededGenerator(seed: seed)
        key = SymmetricKey(size: .bits256)
    }

    mutating func refreshToken() -> String {
        switch row {
        case .claude: "sk-ant-ort01-\(random())"
        case .gemini: "1//0g\(random())"
        case .openai: "rt_\(random()).\(random())"
        case .warp: "AMf-vB\(random())-_\(random())"
        case .pixiv: random() + random()
        default: "drt/\(random())+a&b=c%20=="
        }
    }

    mutating func accessToken(of account: String, at now: MockInstant, expiresAt: MockInstant) -> String {
        if isJWT {
            let claims: DoubleJSON = [
                "iss": "https://double.example", "sub": .text(account), "iat": .number(now.flooredSeconds),
                "exp": .number(expiresAt.flooredSeconds), "jti": .text(random()),
            ]
            return JSONWebToken.issue(claims, key: key)
        }
        return switch row {
        case .claude: "sk-ant-oat01-\(random())"
        case .gemini: "ya29.a0\(random())"
        default: "dat~\(random())+/=."
        }
    }

    mutating func password() -> String { "pa\"ss\\wörd \(random())" }

    private mutating func random() -> String {
        let digits = String(generator.next(), radix: 36)
        return String(repeating: "0", count: 13 - digits.count) + digits
    }
}
