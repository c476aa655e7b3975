import NIOConcurrencyHelpers
import NIOCore

/// A Redis Cluster: knows which node serves which slot, learns it anew when a node says so or goes away.
///
/// A node is told by its address. Each primary has one connection for commands; subscriptions go to any of them, since
/// `PUBLISH` reaches every node.
final class ClusterTopology: RedisTopology {
    private struct State {
        var map: SlotMap?
        /// Addresses that redirects have named, beside those in the map.
        var learnt: [RedisNodeID: RedisEndpoint] = [:]
        /// Why the last look at the Cluster brought nothing.
        var lastFailure: RedisError?
        /// Nodes that cannot be reached, and since when.
        var away: [RedisNodeID: ContinuousClock.Instant] = [:]
        var waiters: [Completion<Void>] = []
        /// Looks in a row that did not find all well; decides who is asked first and how long to wait.
        var troubledLooks = 0
        /// Where the subscription was last led to.
        var subscribedAt: RedisEndpoint?
        /// Where the subscription last failed.
        var shunned: RedisEndpoint?
    }

    private static let subscriptions = RedisNodeID("subscriptions")
    /// A connection that is replaced at once is no reason for the subscription to move.
    private static let grace = Duration.milliseconds(500)
    /// However many redirects come, the map is read once in this time.
    private static let calm = Duration.milliseconds(50)
    private static let troubled = ReconnectBackoff(base: .milliseconds(200), cap: .seconds(2))

    private let seeds: [RedisEndpoint]
    private let lookups: ConnectionFactory
    private let demands: AsyncStream<Void>
    private let demand: AsyncStream<Void>.Continuation
    private let state = NIOLockedValueBox(State())

    init(seeds: [RedisEndpoint], factory: ConnectionFactory) {
        self.seeds = seeds
        lookups = factory.forLookups
        (demands, demand) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: where to

    func node(forKey key: String?) -> RedisNodeID? {
        guard let key else {
            return state.withLockedValue { state in
                let primaries = state.map?.primaries ?? []
                return primaries.first { state.away[$0] == nil } ?? primaries.first
            }
        }
        let slot = HashSlot.of(key)
        return state.withLockedValue { $0.map?.owner(ofSlot: slot) }
    }

    func settle(patience: Duration) async throws(RedisError) {
        let completion = Completion<Void>()
        let now = state.withLockedValue { state -> Result<Void, RedisError>? in
            if let map = state.map {
                guard map.orphanedSlots == 0 else {
                    return .failure(
                        RedisError(.unavailable, "No node of the Cluster serves the key at present; nothing was sent."))
                }
                return .success(())
            }
            if let failure = state.lastFailure { return .failure(failure) }
            state.waiters.append(completion)
            return nil
        }
        if let now { return try now.get() }
        try await completion.value(within: patience, on: lookups.group.any()) {
            RedisError(.unavailable, "The Cluster has not been looked at yet; nothing was sent.")
        }
    }

    var subscriptionNode: RedisNodeID { Self.subscriptions }

    func endpoint(of node: RedisNodeID) async throws(RedisError) -> RedisEndpoint {
        guard node == Self.subscriptions else {
            let endpoint = state.withLockedValue { $0.map?.endpoints[node] ?? $0.learnt[node] }
            guard let endpoint else { throw RedisError(.unavailable, "\(node) is not a node of the Cluster any more.") }
            return endpoint
        }
        if state.withLockedValue({ $0.map == nil }) {
            try await settle(patience: lookups.configuration.connectTimeout)
        }
        let endpoint = state.withLockedValue { state -> RedisEndpoint? in
            guard let map = state.map else { return nil }
            let candidates = map.primaries.filter { state.away[$0] == nil }.compactMap { map.endpoints[$0] }
            state.subscribedAt =
                candidates.filter { $0 != state.shunned }.randomElement() ?? candidates.randomElement()
                ?? map.allEndpoints.randomElement()
            return state.subscribedAt
        }
        guard let endpoint else { throw RedisError(.unavailable, "No node of the Cluster is known.") }
        return endpoint
    }

    /// A subscription leaves a node that is no part of the Cluster any more, or cannot be reached for commands.
    func isCurrent(_ endpoint: RedisEndpoint, of node: RedisNodeID) -> Bool {
        guard node == Self.subscriptions else { return true }
        return state.withLockedValue { state in
            guard let map = state.map, map.allEndpoints.contains(endpoint) else { return false }
            guard let since = state.away[SlotMap.node(at: endpoint)] else { return true }
            return ContinuousClock.now - since < Self.grace
        }
    }

    func isWanted(_ node: RedisNodeID) -> Bool {
        node == Self.subscriptions || state.withLockedValue { $0.map?.endpoints[node] != nil }
    }

    // MARK: what happens

    func connected(_ node: RedisNodeID) {
        state.withLockedValue { state in
            state.away[node] = nil
            if node == Self.subscriptions { state.shunned = nil }
        }
    }

    func failed(_ node: RedisNodeID, at endpoint: RedisEndpoint?, _ error: RedisError) -> RedisError {
        state.withLockedValue { state in
            if node == Self.subscriptions {
                state.shunned = endpoint
            } else if state.away[node] == nil {
                state.away[node] = .now
            }
        }
        demand.yield()
        return error
    }

    func advice(on error: RedisServerError, from node: RedisNodeID) -> TopologyAdvice? {
        switch error.code {
        case "MOVED", "ASK":
            let isMoved = error.code == "MOVED"
            let next = state.withLockedValue { state -> RedisNodeID? in
                let asked = state.map?.endpoints[node] ?? state.learnt[node] ?? seeds[0]
                guard case .tcp(let host, _) = asked,
                    let (slot, endpoint) = SlotMap.redirect(error.message, from: host)
                else { return nil }
                let next = SlotMap.node(at: endpoint)
                state.learnt[next] = endpoint
                if isMoved { state.map?.assign(slot, to: endpoint) }
                return next
            }
            if isMoved { demand.yield() }
            return next.map { .follow($0, asking: !isMoved) } ?? .wait
        case "TRYAGAIN":
            return .wait
        case "CLUSTERDOWN":
            demand.yield()
            return .wait
        default:
            return nil
        }
    }

    func state(of phase: (RedisNodeID) -> RedisConnectionState) -> RedisConnectionState {
        let (map, failure) = state.withLockedValue { ($0.map, $0.lastFailure) }
        guard let map else { return failure.map { .away(reason: $0.message) } ?? .connecting }
        guard map.orphanedSlots == 0 else {
            return .away(reason: "\(map.orphanedSlots) of \(HashSlot.count) slots of the Cluster have no node")
        }
        let phases = map.primaries.map { (node: $0, phase: phase($0)) }
        for (node, phase) in phases {
            if case .away(let reason) = phase { return .away(reason: "\(node): \(reason)") }
        }
        return phases.first { $0.phase != .ready }?.phase ?? .ready
    }

    func usability(of phase: (RedisNodeID) -> RedisConnectionState) -> RedisConnectionState {
        let primaries = state.withLockedValue { $0.map?.primaries ?? [] }
        return primaries.contains { phase($0) == .ready } ? .ready : state(of: phase)
    }

    // MARK: upkeep

    func run(for host: any TopologyHost) async {
        demand.yield()
        for await _ in demands {
            let isWell = await look()
            if let primaries = state.withLockedValue({ $0.map?.primaries }) { host.prepare(primaries) }
            if let endpoint = state.withLockedValue({ $0.subscribedAt }), !isCurrent(endpoint, of: Self.subscriptions) {
                host.dropOutdated(
                    Self.subscriptions,
                    because: RedisError(.unavailable, "The node of the subscriptions has left the Cluster or is away."))
            }
            guard !isWell else {
                try? await Task.sleep(for: Self.calm)
                continue
            }
            let looks = state.withLockedValue { $0.troubledLooks }
            try? await Task.sleep(for: Self.troubled.delay(attempt: looks, fraction: .random(in: 0.5...1)))
            demand.yield()
        }
    }

    /// Reads the map from the first node that tells it. Returns whether all slots are served by nodes in reach.
    private func look() async -> Bool {
        var failure: RedisError?
        for endpoint in candidates() {
            do throws(RedisError) {
                let map = try await readMap(from: endpoint)
                return adopt(map)
            } catch {
                failure = failure ?? error
            }
            if Task.isCancelled { return false }
        }
        let waiters = state.withLockedValue { state in
            state.troubledLooks += 1
            state.lastFailure = RedisError(
                .unavailable, "No node of the Cluster answers: \(failure?.message ?? "none is known")",
                underlying: failure)
            defer { state.waiters = [] }
            return (state.waiters, state.lastFailure)
        }
        for waiter in waiters.0 {
            waiter.complete(.failure(waiters.1 ?? RedisError(.unavailable, "No node of the Cluster answers.")))
        }
        return false
    }

    /// Whom to ask, in turn: known nodes in reach, then the others. After trouble another one goes first, because a
    /// node that is cut off from the rest tells an old map.
    private func candidates() -> [RedisEndpoint] {
        let (known, away, turn) = state.withLockedValue { state in
            (state.map?.allEndpoints ?? [], Set(state.away.keys), state.troubledLooks)
        }
        let all = (known + seeds).reduce(into: [RedisEndpoint]()) { if !$0.contains($1) { $0.append($1) } }
        let near = all.filter { !away.contains(SlotMap.node(at: $0)) }
        let far = all.filter { away.contains(SlotMap.node(at: $0)) }
        guard !near.isEmpty else { return far }
        let start = turn % near.count
        return Array(near[start...] + near[..<start]) + far
    }

    private func readMap(from endpoint: RedisEndpoint) async throws(RedisError) -> SlotMap {
        let connection = try await lookups.connect(to: endpoint)
        defer { connection.finish() }
        let reply = try await connection.send(
            RedisCommand("CLUSTER", "SLOTS"), timeout: lookups.configuration.commandTimeout)
        if let error = reply.serverError {
            throw RedisError(
                .unavailable,
                "\(endpoint) is no node of a Cluster (server: \(error)). A single server's URL starts with redis://.",
                serverError: error)
        }
        guard case .tcp(let host, _) = endpoint, let map = SlotMap(reply: reply, from: host) else {
            throw RedisError(.protocolViolation, "\(endpoint) told a map of slots that cannot be read.")
        }
        guard !map.primaries.isEmpty else {
            throw RedisError(.unavailable, "\(endpoint) does not belong to a Cluster that serves slots yet.")
        }
        return map
    }

    private func adopt(_ map: SlotMap) -> Bool {
        let (isWell, waiters) = state.withLockedValue { state in
            state.map = map
            state.lastFailure = nil
            state.learnt = state.learnt.filter { state.away[$0.key] == nil }
            // Who is no primary any more is nobody's concern, except where the subscription still is.
            let isWell = map.orphanedSlots == 0 && map.primaries.allSatisfy { state.away[$0] == nil }
            if isWell { state.away = [:] }
            state.troubledLooks = isWell ? 0 : state.troubledLooks + 1
            defer { state.waiters = [] }
            return (isWell, state.waiters)
        }
        for waiter in waiters { waiter.complete(.success(())) }
        return isWell
    }
}
