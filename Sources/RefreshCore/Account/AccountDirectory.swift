/// When an account that exists already is given new credentials by ``AccountDirectory/put(_:)``.
public enum OverwriteRule: String, Sendable, Hashable {
    /// Always: re-authorisation.
    case always
    /// Only where the new access token ends later than the stored one.
    case ifNewer = "if_newer"
    /// Never: the account must not exist.
    case never
}

/// An account to be added, or to be given new credentials.
public struct AccountPut: Sendable, Hashable {
    public var id: AccountID
    public var provider: ProviderName
    /// Nil leaves the name of an existing account as it is.
    public var name: String?
    public var credentials: Credentials
    public var dueAt: WallTime
    public var overwrite: OverwriteRule
    /// Refuse unless the account is at this generation (If-Match, RFC 9110 §13.1.1).
    public var ifGeneration: Generation?
    /// Not given, an existing account keeps what it has.
    public var traits: TraitChanges
    /// Also ends a pause.
    public var resumes: Bool
    /// Names this change, so that one which is repeated after a lost reply is recognised and not made twice. Without it a
    /// repetition would bring back tokens that a refresh may have used up meanwhile.
    public var attempt: AttemptID?
    /// Take the refresh token although it was refused before, or is that of another account.
    public var isForced: Bool
    /// Whether another account of the provider may have the same refresh token: where it survives use.
    public var mayShareToken: Bool

    public init(
        id: AccountID, provider: ProviderName, name: String?, credentials: Credentials, dueAt: WallTime,
        overwrite: OverwriteRule = .always, ifGeneration: Generation? = nil, traits: TraitChanges = .none,
        resumes: Bool = false, attempt: AttemptID? = nil, isForced: Bool = false, mayShareToken: Bool = true
    ) {
        self.traits = traits
        self.resumes = resumes
        self.attempt = attempt
        self.isForced = isForced
        self.mayShareToken = mayShareToken
        self.id = id
        self.provider = provider
        self.name = name
        self.credentials = credentials
        self.dueAt = dueAt
        self.overwrite = overwrite
        self.ifGeneration = ifGeneration
    }
}

public enum PutReply: Sendable, Hashable {
    case created(Generation)
    case replaced(Generation)
    /// The overwrite rule kept what is stored.
    case kept(Generation)
    /// `ifGeneration` does not match; nil when there is no such account.
    case conflict(Generation?)
    /// The account exists at another provider: remove it first.
    case otherProvider(ProviderName)
    /// Merged with those it has, the labels would be more than ``AccountLabels/maximumCount``; nothing was stored.
    case tooManyLabels
    /// The provider refused this very refresh token, then.
    case refusedBefore(WallTime)
    /// Another account of the provider was given this very refresh token: two that spend one token end both.
    case tokenInUse(by: AccountID)
}

/// What can be changed of an account without touching its credentials.
public struct AccountEdit: Sendable, Hashable {
    public var name: String?
    public var enabled: Bool?
    public var traits: TraitChanges
    public var ifGeneration: Generation?

    public init(
        name: String? = nil, enabled: Bool? = nil, traits: TraitChanges = .none, ifGeneration: Generation? = nil
    ) {
        self.traits = traits
        self.name = name
        self.enabled = enabled
        self.ifGeneration = ifGeneration
    }
}

public enum EditReply: Sendable, Hashable {
    case done
    case missing
    case conflict(Generation)
    /// Merged with those it has, the labels would be more than ``AccountLabels/maximumCount``; nothing was changed.
    case tooManyLabels
}

/// One page of accounts in the order of their ids.
public struct AccountPage: Sendable {
    public var accounts: [AccountSnapshot]
    /// Pass it to get the next page; nil at the end.
    public var next: AccountID?

    public init(accounts: [AccountSnapshot], next: AccountID?) {
        self.accounts = accounts
        self.next = next
    }
}

/// Adding, changing, removing and listing accounts: the administrative port of the store.
public protocol AccountDirectory: Sendable {
    func put(_ account: AccountPut) async throws(StoreError) -> PutReply
    func edit(_ account: AccountID, _ edit: AccountEdit) async throws(StoreError) -> EditReply
    /// Deletes the credentials; the generation is kept so that it never repeats.
    func remove(_ account: AccountID, ifGeneration: Generation?) async throws(StoreError) -> EditReply
    func list(after: AccountID?, limit: Int) async throws(StoreError) -> AccountPage
    func read(_ account: AccountID) async throws(StoreError) -> AccountSnapshot?
    func count() async throws(StoreError) -> Int
}
