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
        /// A step's server could not be reached, did not answer in time, or failed itself (5xx).
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

    /// Whether the same step may work later.
    var isTransient: Bool { cause == .unreachable || cause == .throttled }

    public init(_ cause: Cause, step: String?, _ message: String, retryAfter: Duration? = nil) {
        self.cause = cause
        self.step = step
        self.message = message
        self.retryAfter = retryAfter
    }

    public var description: String { step.map { "step \($0): \(message)" } ?? message }
}

/// What can be read of the answers that a run has got, by the chain as it is now.
public struct AcquisitionProgress: Sendable, Hashable {
    /// How many values its steps have brought.
    public var values: Int
    /// Whether every answer holds what its step has to bring.
    public var isReadable: Bool

    public init(values: Int, isReadable: Bool) {
        self.values = values
        self.isReadable = isReadable
    }
}

/// Makes a new account at a provider: the chain of a pool.
public protocol AccountAcquirer: Sendable {
    /// Goes on behind the answers that the run has. Each request is sent once.
    ///
    /// - Parameter keep: called with the run and each new answer before that is read.
    func advance(
        _ run: AcquisitionRun, keep: @Sendable (AcquisitionRun) -> Void
    ) async throws(AcquisitionFailure) -> AcquiredAccount

    func progress(of run: AcquisitionRun) -> AcquisitionProgress
}
