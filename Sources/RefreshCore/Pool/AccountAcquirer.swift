/// A new account, as an acquisition chain has brought it.
public struct AcquiredAccount: Sendable, Hashable {
    public var id: AccountID
    public var provider: ProviderName
    public var name: String?
    public var credential: AccountCredential

    public init(id: AccountID, provider: ProviderName, name: String?, credential: AccountCredential) {
        self.id = id
        self.provider = provider
        self.name = name
        self.credential = credential
    }
}

/// Why no account was acquired. Never holds a value of an answer.
public struct AcquisitionFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Cause: String, Sendable, Hashable {
        /// A step's server could not be reached, or did not answer in time.
        case unreachable
        /// It said no for now (429, or 503 with Retry-After).
        case throttled
        /// It said no.
        case refused
        /// An answer lacks what the next step needs, or the definition does not fit.
        case unusable
        /// The account was acquired, and the store does not take it.
        case unstored
    }

    public var cause: Cause
    /// The step that failed; nil where none was begun.
    public var step: String?
    public var message: String
    /// How long the server wants to be left alone.
    public var retryAfter: Duration?

    public init(_ cause: Cause, step: String?, _ message: String, retryAfter: Duration? = nil) {
        self.cause = cause
        self.step = step
        self.message = message
        self.retryAfter = retryAfter
    }

    public var description: String { step.map { "step \($0): \(message)" } ?? message }
}

/// Makes a new account at a provider: the chain of a pool.
public protocol AccountAcquirer: Sendable {
    /// Each request is sent once.
    func acquire(for pool: PoolName) async throws(AcquisitionFailure) -> AcquiredAccount
}

/// Keeps what was acquired on disk until the store has it.
public protocol AcquiredAccountVault: Sendable {
    func keep(_ account: AcquiredAccount, for pool: PoolName, attempt: AttemptID) throws(AcquisitionFailure)
    func drop(_ attempt: AttemptID)
    /// Those that an earlier run has left.
    func left() -> [(pool: PoolName, attempt: AttemptID, account: AcquiredAccount)]
}
