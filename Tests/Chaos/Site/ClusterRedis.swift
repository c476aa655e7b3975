import PerennialServers
import RefreshCore

/// A Cluster of three primaries with a replica each.
struct ClusterRedis: RedisSite {
    let cluster: RedisCluster
    static let patience = Duration.seconds(30)

    static func start(_ plan: ChaosPlan) async throws -> ClusterRedis {
        var options = RedisCluster.Options()
        options.directives = ["appendfsync \(plan.fsync.rawValue)", "maxmemory-policy noeviction"]
        return ClusterRedis(cluster: try await RedisCluster.start(options))
    }

    func url(for instance: Int) -> String { cluster.url }

    func perform(_ kind: FaultKind, dice: SplitMix64, hit: @Sendable (String) -> Void) async throws {
        var dice = dice
        let pause = Duration.milliseconds(Int64.random(in: 500...4000, using: &dice))
        let primary = try await cluster.primaries().sorted { ($0.port ?? 0) < ($1.port ?? 0) }
            .randomElement(using: &dice)
        guard let primary else { throw ServerFailure("the Cluster has no primary") }
        switch kind {
        case .primaryKill, .primaryPause:
            hit("redis \(primary.port ?? 0)")
            if kind == .primaryKill { await primary.kill() } else { await primary.pause() }
            do {
                try await cluster.waitForFailover(from: primary, timeout: Self.patience)
                try await Task.sleep(for: pause)
            } catch {
                try await revive(primary)
                throw error
            }
            try await revive(primary)
        case .failover:
            hit("redis \(primary.port ?? 0)")
            try await cluster.failOver(primary)
        case .replicaKill:
            let replica = try await cluster.replica(of: primary)
            hit("redis \(replica.port ?? 0)")
            await replica.kill()
            try await Task.sleep(for: pause)
            try await revive(replica)
        case .reshard:
            let slots = Int.random(in: 300...1500, using: &dice)
            hit("\(slots) slots")
            try await cluster.reshard(slots: slots)
        default: return
        }
        try await cluster.waitUntilHealthy(timeout: Self.patience)
    }

    private func revive(_ server: RedisServer) async throws {
        await server.resume()
        if await !server.isRunning { try await server.restart() }
    }

    func heal() async throws {
        for server in cluster.servers { try await revive(server) }
        try await cluster.waitUntilHealthy(timeout: .seconds(180))
    }

    func primaries() async throws -> [RedisServer] { try await cluster.primaries() }

    func stop() async { await cluster.stop() }
}
