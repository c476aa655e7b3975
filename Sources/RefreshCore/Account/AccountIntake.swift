/// Checks what is to be stored for an account and works out when its first refresh is due: the one way in for the
/// API, the command line and imports.
public struct AccountIntake: Sendable {
    /// What is wrong with the account, and what to do.
    public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        public enum Code: String, Sendable, Hashable { case unknownProvider, invalid }
        public let code: Code
        public let description: String
    }

    private let policies: any PolicySource

    public init(policies: any PolicySource) {
        self.policies = policies
    }

    /// Longest display name, in characters.
    public static let maximumNameLength = 200

    /// - Throws: ``Refusal`` for a provider that is not configured, an empty or impossible token, a name that is too
    ///   long, or an access token without an expiry.
    public func admit(
        id: AccountID, provider: ProviderName, name: String?, credentials: Credentials, overwrite: OverwriteRule,
        ifGeneration: Generation? = nil, now: WallTime
    ) throws(Refusal) -> AccountPut {
        guard let policy = policies.policy(for: provider) else {
            let known = policies.providers.map(\.rawValue).joined(separator: ", ")
            throw Refusal(
                code: .unknownProvider,
                description: "provider \"\(provider)\" is not configured (known: \(known.isEmpty ? "none" : known))")
        }
        if let name { try Self.check(name: name) }
        do {
            try InvalidToken.check(credentials.refreshToken, field: "refresh_token")
            if let accessToken = credentials.accessToken { try InvalidToken.check(accessToken, field: "access_token") }
        } catch {
            throw Refusal(code: .invalid, description: error.description)
        }
        if credentials.accessToken != nil, credentials.expiresAt == nil {
            throw Refusal(code: .invalid, description: "access_token comes without expires_at: give both or neither")
        }
        if credentials.accessToken == nil, credentials.expiresAt != nil {
            throw Refusal(code: .invalid, description: "expires_at comes without access_token: give both or neither")
        }
        // Only spreads due times; the system's own generator is an empty type, which the thread sanitizer trips over.
        var generator = SplitMix64(seed: .random(in: .min ... .max))
        // How long the token has lived is not known; from now on counts.
        let due = credentials.expiresAt.map {
            max(policy.dueTime(expiresAt: $0, obtainedAt: now, using: &generator), now)
        }
        return AccountPut(
            id: id, provider: provider, name: name, credentials: credentials, dueAt: due ?? now,
            overwrite: overwrite, ifGeneration: ifGeneration)
    }

    /// - Throws: ``Refusal`` for a display name that is too long or holds control characters.
    public static func check(name: String) throws(Refusal) {
        guard name.count <= maximumNameLength else {
            throw Refusal(
                code: .invalid, description: "name has \(name.count) characters, at most \(maximumNameLength)")
        }
        guard name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
            throw Refusal(code: .invalid, description: "name holds a control character")
        }
    }
}
