/// When to bid for the lease, when to renew it and until when it may be believed: decisions only.
///
/// The holder believes in its lease only as long as its own monotonic clock says, counted from before the request
/// was sent, so it stops believing before the key in the store can have ended. Two leaders at once would cost work,
/// never safety (I7).
public struct LeaseMachine: Sendable {
    public enum Step: Sendable, Hashable {
        case bid
        case renew(epoch: Int64)
        case sleep(until: MonotonicTime)
    }

    public enum Change: Sendable, Hashable { case none, began(epoch: Int64), ended }

    private enum Role: Sendable, Hashable {
        case follower(nextBid: MonotonicTime)
        case leader(epoch: Int64, heldUntil: MonotonicTime, renewAt: MonotonicTime)
    }

    public let ttl: Duration
    /// How long after it was asked for a lease is renewed.
    private let renewAfter: Duration
    private var role: Role
    private var generator: SplitMix64

    /// - Parameters:
    ///   - ttl: life of the lease (5 s; hosted: 30 min).
    ///   - renewAfter: shorter than `ttl`; nil: a third of it, so that two renewals may fail.
    public init(ttl: Duration, renewAfter: Duration? = nil, now: MonotonicTime, seed: UInt64) {
        self.ttl = ttl
        self.renewAfter = renewAfter ?? ttl / 3
        self.role = .follower(nextBid: now)
        self.generator = SplitMix64(seed: seed)
    }

    public func isLeader(at now: MonotonicTime) -> Bool {
        if case .leader(_, let heldUntil, _) = role { return now < heldUntil }
        return false
    }

    public var epoch: Int64? {
        if case .leader(let epoch, _, _) = role { return epoch }
        return nil
    }

    /// What to do now. A leader whose time is up becomes a follower.
    public mutating func next(at now: MonotonicTime) -> (step: Step, change: Change) {
        switch role {
        case .follower(let nextBid):
            return (now >= nextBid ? .bid : .sleep(until: nextBid), .none)
        case .leader(let epoch, let heldUntil, let renewAt):
            if now >= heldUntil {
                role = .follower(nextBid: now)
                return (.bid, .ended)
            }
            return (now >= renewAt ? .renew(epoch: epoch) : .sleep(until: min(renewAt, heldUntil)), .none)
        }
    }

    public mutating func bidAnswered(_ bid: LeaseBid, sentAt: MonotonicTime, now: MonotonicTime) -> Change {
        switch bid {
        case .acquired(let epoch):
            role = .leader(epoch: epoch, heldUntil: sentAt + ttl, renewAt: sentAt + renewAfter)
            return .began(epoch: epoch)
        case .held(let remaining):
            role = .follower(nextBid: now + min(remaining, ttl) + jitter(upTo: ttl / 20))
            return .none
        }
    }

    public mutating func renewAnswered(_ isHeld: Bool, sentAt: MonotonicTime, now: MonotonicTime) -> Change {
        guard case .leader(let epoch, _, _) = role else { return .none }
        if isHeld {
            role = .leader(epoch: epoch, heldUntil: sentAt + ttl, renewAt: sentAt + renewAfter)
            return .none
        }
        role = .follower(nextBid: now + jitter(upTo: ttl / 10))
        return .ended
    }

    /// The store did not answer: a leader tries again soon and goes on while its time lasts.
    public mutating func failed(now: MonotonicTime) {
        let retry = now + min(ttl / 10, .seconds(1)) + jitter(upTo: min(ttl / 10, .seconds(1)))
        switch role {
        case .follower: role = .follower(nextBid: retry)
        case .leader(let epoch, let heldUntil, _): role = .leader(epoch: epoch, heldUntil: heldUntil, renewAt: retry)
        }
    }

    /// The leader has let go: bid at once, a little apart from the other followers.
    public mutating func leaderReleased(now: MonotonicTime) {
        guard case .follower(let nextBid) = role else { return }
        role = .follower(nextBid: min(nextBid, now + jitter(upTo: .milliseconds(50))))
    }

    /// This instance lets go; returns the epoch to release in the store.
    public mutating func resign(now: MonotonicTime) -> Int64? {
        guard case .leader(let epoch, _, _) = role else { return nil }
        role = .follower(nextBid: now + ttl)
        return epoch
    }

    private mutating func jitter(upTo limit: Duration) -> Duration {
        .milliseconds(Int64.random(in: 0...max(1, limit.wholeMilliseconds), using: &generator))
    }
}
