/// The way of one call: which node it is sent to, and where it goes on after a redirect.
///
/// A redirected command was provably not executed, so it is sent again, within the call's own time. Nothing else is.
struct CallRoute {
    /// Redirects of one call. The first few are followed at once; if they go on, two nodes disagree, and each further
    /// one waits first.
    private static let maxRedirects = 24
    private static let promptRedirects = 4
    private static let backoff = ReconnectBackoff(base: .milliseconds(8), cap: .milliseconds(200))

    private let topology: any RedisTopology
    private let key: String?
    private let deadline: ContinuousClock.Instant
    private var redirects = 0
    private var waits = 0
    private(set) var node: RedisNodeID
    /// Whether the node takes this command only right after ASKING.
    private(set) var isAsking = false

    init(topology: any RedisTopology, key: String?, node: RedisNodeID, timeout: Duration) {
        self.topology = topology
        self.key = key
        self.node = node
        deadline = ContinuousClock.now + timeout
    }

    /// What is left of the call's time, at least a millisecond.
    var remaining: Duration { max(deadline - ContinuousClock.now, .milliseconds(1)) }

    /// Whether to send the command again, to ``node``, because of an error reply. False: the reply is the answer.
    ///
    /// - Parameter mayMove: Whether the call may go to another node: not in the middle of a leased connection's work.
    /// - Throws: ``RedisError/Code/cancelled`` when the calling task is cancelled; the command was not executed.
    mutating func goesOn(
        after error: RedisServerError, on connection: RedisConnection, mayMove: Bool = true
    ) async throws(RedisError) -> Bool {
        switch topology.advice(on: error, from: node) {
        case nil:
            return false
        case .leave:
            connection.finish(RedisError(.unavailable, "The server has become a replica; the primary is looked for."))
            return false
        case .follow(let next, let asking):
            redirects += 1
            guard mayMove, redirects <= Self.maxRedirects else { return false }
            if redirects > Self.promptRedirects {
                guard try await pause(attempt: redirects - Self.promptRedirects) else { return false }
            }
            (node, isAsking) = (next, asking)
        case .wait:
            guard try await pause(attempt: waits) else { return false }
            waits += 1
            isAsking = false
            if mayMove, let owner = topology.node(forKey: key) { node = owner }
        }
        return ContinuousClock.now < deadline
    }

    /// False when there is no time for it.
    private func pause(attempt: Int) async throws(RedisError) -> Bool {
        let delay = Self.backoff.delay(attempt: attempt, fraction: .random(in: 0.5...1))
        guard ContinuousClock.now + delay < deadline else { return false }
        do {
            try await Task.sleep(for: delay)
            return true
        } catch {
            throw RedisError(
                .cancelled, "The calling task was cancelled; Redis did not execute the command.",
                mayHaveExecuted: false)
        }
    }
}
