/// The durable mark "attempt A is spending generation g", written before the refresh token leaves the process.
/// Safety rests on it: while it stands, nobody else is given the refresh token of that generation (I1).
public struct RefreshIntent: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        /// The attempt may still be under way.
        case open
        /// The attempt itself has said that it does not know whether the token was spent.
        case ambiguous
        /// The provider has refused the token for good, but an orphan may hold the account's newest: a person decides.
        /// It is not sent again.
        case refused
    }

    public var attempt: AttemptID
    public var generation: Generation
    /// The instance whose journal may hold the answer.
    public var origin: InstanceID
    public var state: State
    /// When the current attempt wrote the mark, on the clock of Redis.
    public var at: WallTime
    /// When the refresh token of this generation was first about to be sent; a provider's grace counts from here.
    public var firstAt: WallTime
    /// Recovery re-sends so far: at most one unless the provider's refresh tokens survive use.
    public var resends: Int

    public init(
        attempt: AttemptID, generation: Generation, origin: InstanceID, state: State, at: WallTime,
        firstAt: WallTime, resends: Int
    ) {
        self.attempt = attempt
        self.generation = generation
        self.origin = origin
        self.state = state
        self.at = at
        self.firstAt = firstAt
        self.resends = resends
    }
}
