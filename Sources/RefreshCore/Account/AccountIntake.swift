/// Checks what is to be stored for an account and works out when its first refresh is due: the one way in for the
/// API, the command line and imports.
public struct AccountIntake: Sendable {
    /// What is wrong with the account, and what to do.
    public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        public enum Code: String, Sendable, Hashable {
            case unknownProvider, invalid
            /// What the account is made of was not given.
            case missing
        }
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
    /// - Parameter isForced: whether a refresh token is taken that was refused before, or is another account's.
    public func admit(
        id: AccountID, provider: ProviderName, name: String?, credentials: Credentials, overwrite: OverwriteRule,
        ifGeneration: Generation? = nil, traits: TraitChanges = .none, resumes: Bool = false, attempt: AttemptID? = nil,
        isForced: Bool = false, now: WallTime
    ) throws(Refusal) -> AccountPut {
        guard let policy = policies.policy(for: provider) else {
            let known = policies.providers.map(\.rawValue).joined(separator: ", ")
            throw Refusal(
                code: .unknownProvider,
                description: "provider \"\(provider)\" is not configured (known: \(known.isEmpty ? "none" : known))")
        }
        if let name { try Self.check(name: name) }
        try Self.check(AccountCredential(credentials.refreshToken), for: policy)
        try Self.check(traits)
        do {
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
        if let end = credentials.grantExpiresAt, end <= now {
            throw Refusal(code: .invalid, description: "grant_expires_at has passed: log in again")
        }
        // Only spreads due times; the system's own generator is an empty type, which the thread sanitizer trips over.
        var generator = SplitMix64(seed: .random(in: .min ... .max))
        // How long the token has lived is not known; from now on counts.
        let due = credentials.expiresAt.map {
            max(policy.dueTime(expiresAt: $0, obtainedAt: now, using: &generator), now)
        }
        let told = credentials.grantExpiresAt.map { GrantTerm(since: now, endsAt: $0) }
        return AccountPut(
            id: id, provider: provider, name: name, credentials: credentials,
            dueAt: policy.dueTime(due ?? now, grant: policy.grantTerm(told, authorizedAt: now), now: now),
            overwrite: overwrite, ifGeneration: ifGeneration, traits: traits, resumes: resumes, attempt: attempt,
            isForced: isForced, mayShareToken: policy.rotation == .reusable || policy.accountFields != nil)
    }

    /// - Throws: ``Refusal`` for labels that cannot be stored.
    public static func check(_ traits: TraitChanges) throws(Refusal) {
        do {
            try traits.labels.check()
        } catch {
            throw Refusal(code: .invalid, description: error.description)
        }
    }

    /// - Throws: ``Refusal`` where the account is not made of what its provider needs.
    private static func check(_ credential: AccountCredential, for policy: RefreshPolicy) throws(Refusal) {
        let provider = policy.provider
        guard let wanted = policy.accountFields else {
            switch credential {
            case .fields(let fields) where fields.names.isEmpty:
                throw Refusal(code: .missing, description: "refresh_token is missing")
            case .fields:
                throw Refusal(
                    code: .invalid,
                    description: "accounts of provider \"\(provider)\" have a refresh_token, not credentials")
            case .refreshToken(let token):
                do {
                    return try InvalidToken.check(token, field: "refresh_token")
                } catch {
                    throw Refusal(code: .invalid, description: error.description)
                }
            }
        }
        let needs = wanted.isEmpty ? "needs neither" : "needs credentials: \(wanted.joined(separator: ", "))"
        guard case .fields(let fields) = credential else {
            throw Refusal(
                code: .invalid,
                description: "accounts of provider \"\(provider)\" have no refresh_token; an account \(needs)")
        }
        for name in fields.names where !wanted.contains(name) {
            throw Refusal(
                code: .invalid,
                description: "credentials.\(name.prefix(AccountFields.maximumNameLength)) is unknown: an account of "
                    + "provider \"\(provider)\" \(wanted.isEmpty ? "needs none" : needs)")
        }
        var length = 0
        for name in wanted {
            guard let value = fields[name], !value.isEmpty else {
                throw Refusal(
                    code: .missing,
                    description: "credentials.\(name) is missing: an account of provider \"\(provider)\" \(needs)")
            }
            guard !value.reveal().utf8.contains(0) else {
                throw Refusal(code: .invalid, description: "credentials.\(name) holds a NUL character")
            }
            length += value.reveal().utf8.count
        }
        guard length <= AccountFields.maximumLength else {
            throw Refusal(
                code: .invalid,
                description: "the credentials have \(length) bytes, at most \(AccountFields.maximumLength) are allowed")
        }
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
