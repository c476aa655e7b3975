import NIOConcurrencyHelpers

/// The master of a Sentinel group: asked for at every attempt to connect, held to its role, followed when the Sentinels
/// announce another one. See <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.
final class SentinelTopology: RedisTopology {
    private struct State {
        /// The order in which the Sentinels are asked: who answered last comes first.
        var sentinels: [RedisEndpoint]
        /// The address that connections may lead to: announced, or verified by `ROLE`.
        var current: RedisEndpoint?
        /// What a Sentinel has announced. For a while it counts more than an answer, because the other Sentinels
        /// hear of a failover up to two seconds later.
        var announcement: (endpoint: RedisEndpoint, until: ContinuousClock.Instant)?

        var announced: RedisEndpoint? {
            announcement.flatMap { ContinuousClock.now < $0.until ? $0.endpoint : nil }
        }
    }

    private static let node = RedisNodeID("primary")
    private static let announcementCounts = Duration.seconds(10)

    private let masterName: String
    private let door: SentinelDoor
    private let state: NIOLockedValueBox<State>
    private let changes: AsyncStream<RedisEndpoint>
    private let change: AsyncStream<RedisEndpoint>.Continuation

    init(sentinels: [RedisEndpoint], masterName: String, factory: ConnectionFactory) {
        self.masterName = masterName
        door = SentinelDoor(factory: factory, masterName: masterName)
        state = NIOLockedValueBox(State(sentinels: sentinels))
        (changes, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func node(forKey key: String?) -> RedisNodeID? { Self.node }
    var onlyNode: RedisNodeID? { Self.node }
    var subscriptionNode: RedisNodeID { Self.node }

    func endpoint(of node: RedisNodeID) async throws(RedisError) -> RedisEndpoint {
        let (sentinels, announced) = state.withLockedValue { ($0.sentinels, $0.announced) }
        if let announced { return announced }
        var reasons: [String] = []
        for sentinel in sentinels {
            do throws(RedisError) {
                let endpoint = try await door.masterAddress(from: sentinel)
                state.withLockedValue { state in
                    state.sentinels.removeAll { $0 == sentinel }
                    state.sentinels.insert(sentinel, at: 0)
                }
                // Announced while the question was under way.
                return state.withLockedValue { $0.announced } ?? endpoint
            } catch {
                guard error.code != .cancelled, !Task.isCancelled else { throw error }
                reasons.append("\(sentinel): \(error.message)")
            }
        }
        throw RedisError(
            .unavailable, "No Sentinel names the master \(masterName). \(reasons.joined(separator: " "))")
    }

    /// A Sentinel that was cut off may name a server that is a replica by now.
    func verify(_ node: RedisNodeID, at endpoint: RedisEndpoint, ask: Ask) async throws(RedisError) {
        let reply = try await ask(RedisCommand("ROLE"))
        if let error = reply.serverError {
            throw RedisError(
                .unavailable,
                "\(endpoint) does not tell its role (server: \(error)). The user needs the right to call ROLE.",
                serverError: error)
        }
        let role = reply.array?.first?.string ?? "unknown"
        guard role == "master" else {
            throw RedisError(
                .unavailable, "A Sentinel named \(endpoint) as the master \(masterName), but its role is \(role).")
        }
        let (overtaking, isNew) = state.withLockedValue { state -> (RedisEndpoint?, Bool) in
            if let announced = state.announced, announced != endpoint { return (announced, false) }
            defer { state.current = endpoint }
            return (nil, state.current != nil && state.current != endpoint)
        }
        if let overtaking {
            throw RedisError(
                .unavailable, "\(overtaking) has been announced as the master \(masterName), \(endpoint) is left.")
        }
        if isNew { change.yield(endpoint) }
    }

    func isCurrent(_ endpoint: RedisEndpoint, of node: RedisNodeID) -> Bool {
        state.withLockedValue { $0.current == nil || $0.current == endpoint }
    }

    func failed(_ node: RedisNodeID, at endpoint: RedisEndpoint?, _ error: RedisError) -> RedisError {
        state.withLockedValue { state in
            guard let endpoint else { return }
            if state.announcement?.endpoint == endpoint { state.announcement = nil }
            // Its address was of no use: another Sentinel may know better.
            if state.sentinels.count > 1 { state.sentinels.append(state.sentinels.removeFirst()) }
        }
        return error
    }

    /// A master that has become a replica refuses writes; Sentinel is asked for the new one.
    func advice(on error: RedisServerError, from node: RedisNodeID) -> TopologyAdvice? {
        error.code == "READONLY" ? .leave : nil
    }

    func run(for host: any TopologyHost) async {
        let sentinels = state.withLockedValue { $0.sentinels }
        await withDiscardingTaskGroup { group in
            for sentinel in sentinels {
                group.addTask {
                    await SentinelWatch(sentinel: sentinel, door: self.door) { self.announced($0) }.run()
                }
            }
            for await endpoint in changes {
                host.dropOutdated(
                    Self.node,
                    because: RedisError(.unavailable, "The master \(masterName) has moved to \(endpoint)."))
            }
            group.cancelAll()
        }
    }

    private func announced(_ endpoint: RedisEndpoint) {
        let isNew = state.withLockedValue { state in
            state.announcement = (endpoint, ContinuousClock.now + Self.announcementCounts)
            defer { state.current = endpoint }
            return state.current != endpoint
        }
        if isNew { change.yield(endpoint) }
    }
}
