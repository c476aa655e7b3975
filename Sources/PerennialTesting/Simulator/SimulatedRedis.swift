import RefreshCore

/// Redis: a primary, and a replica that is behind. What is not replicated is lost in a failover.
struct SimulatedRedis {
    /// A server's data, and what it can do now.
    struct Node {
        var state = ModelState()
        /// What the replica of this node had at which time, oldest first; kept only for runs with failovers.
        var history: [(at: TrueTime, state: ModelState)] = []
        /// Since when nothing is replicated any more.
        var replicationCutAt: TrueTime?
    }

    enum Trouble: String { case loading, outOfMemory = "out of memory", readOnly = "read-only", noAuth = "no auth" }

    var nodes = [Node(), Node()]
    var primary = 0
    /// A primary that others have given up, and the one process that still reaches it.
    var isolated: (node: Int, process: Int)?
    /// No primary can be reached while this is set.
    var isDown = false
    var trouble: Trouble?
    /// How far the server's wall clock is off, in milliseconds.
    var clockOffset: Int64 = 0
    let keepsHistory: Bool
    let lag: TrueTime

    init(keepsHistory: Bool, lag: TrueTime) {
        self.keepsHistory = keepsHistory
        self.lag = lag
    }

    func wall(at now: TrueTime) -> WallTime {
        WallTime(milliseconds: Simulation.epoch + now / 1_000_000 + clockOffset)
    }

    /// The node that a process reaches now.
    func node(for process: Int) -> Int? {
        if isDown { return nil }
        if let isolated, isolated.process == process { return isolated.node }
        return primary
    }

    /// A script has written: the replica will get it.
    mutating func wrote(to node: Int, at now: TrueTime) {
        if keepsHistory { nodes[node].history.append((now, nodes[node].state)) }
    }

    /// The offset that the replica of `node` has confirmed.
    mutating func confirmed(by node: Int, at now: TrueTime) -> Int64 {
        replicated(of: node, at: now)?.writes ?? 0
    }

    private mutating func replicated(of node: Int, at now: TrueTime) -> ModelState? {
        let until = min(now, nodes[node].replicationCutAt ?? now) - lag
        guard let newest = nodes[node].history.lastIndex(where: { $0.at <= until }) else { return nil }
        let state = nodes[node].history[newest].state
        if newest > 64 { nodes[node].history.removeFirst(newest) }
        return state
    }

    /// The replica takes over with what it has.
    mutating func failOver(at now: TrueTime) {
        let old = primary
        var state = replicated(of: old, at: now) ?? nodes[old].history.first?.state ?? ModelState()
        state.inChargeSince = wall(at: now)
        primary = 1 - old
        nodes[primary] = Node(state: state, history: [(now - lag, state)], replicationCutAt: nil)
    }
}
