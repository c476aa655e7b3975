import PerennialServers
import RefreshCore

/// A primary, its replica and three Sentinels.
struct SentinelRedis: RedisSite {
    let group: SentinelGroup
    static let patience = Duration.seconds(30)

    static func start(_ plan: ChaosPlan) async throws -> SentinelRedis {
        var options = SentinelGroup.Options()
        // An old primary that is cut off stops taking writes; so does one whose replica is down.
        options.minReplicas = 1
        options.directives = ["appendfsync \(plan.fsync.rawValue)", "maxmemory-policy noeviction"]
        return SentinelRedis(group: try await SentinelGroup.start(options))
    }

    func url(for instance: Int) -> String { group.url }

    func perform(_ kind: FaultKind, dice: SplitMix64, hit: @Sendable (String) -> Void) async throws {
        var dice = dice
        let pause = Duration.milliseconds(Int64.random(in: 500...4000, using: &dice))
        switch kind {
        case .primaryKill, .primaryPause:
            let old = try await group.primary()
            hit("redis \(old.port ?? 0)")
            if kind == .primaryKill { await old.kill() } else { await old.pause() }
            do {
                try await group.waitForFailover(from: old, timeout: Self.patience)
                try await Task.sleep(for: pause)
            } catch {
                // Comes back all the same; the verdict shows whether the fleet lived through it.
                try await revive(old)
                throw error
            }
            try await revive(old)
            try await group.waitUntilHealthy(timeout: Self.patience)
        case .failover:
            hit("redis \((try await group.primary()).port ?? 0)")
            try await group.failOver()
            try await group.waitUntilHealthy(timeout: Self.patience)
        case .replicaKill:
            let replica = try await group.replica()
            hit("redis \(replica.port ?? 0)")
            await replica.kill()
            try await Task.sleep(for: pause)
            try await revive(replica)
            try await group.waitUntilHealthy(timeout: Self.patience)
        default: break
        }
    }

    private func revive(_ server: RedisServer) async throws {
        await server.resume()
        if await !server.isRunning { try await server.restart() }
    }

    func heal() async throws {
        for server in group.servers + group.sentinels { try await revive(server) }
        try await group.waitUntilHealthy(timeout: .seconds(180))
    }

    func primaries() async throws -> [RedisServer] { [try await group.primary()] }

    func stop() async { await group.stop() }
}
