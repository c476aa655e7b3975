import PerennialServers
import RedisStore
import Testing

/// How soon another leads when the leader is gone.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TakeoverTests {
    @Test func afterAKillWithinTheLeaseAndASecond() async throws {
        try await CrashSite.run(.init(instances: 3, isProactive: true)) { site in
            let (old, leader) = try await self.leader(site)
            await leader.kill()
            let took = try await takeover(site, from: old)
            #expect(took < CrashSite.leaseTTL + .seconds(1))
        }
    }

    @Test func afterARequestToStopWithinHalfASecond() async throws {
        try await CrashSite.run(.init(instances: 3, isProactive: true)) { site in
            let (old, leader) = try await self.leader(site)
            await leader.ask()
            let took = try await takeover(site, from: old)
            #expect(took < .milliseconds(500))
        }
    }

    /// What the lease says, and the instance that wrote it: the one whose journal has that name.
    private func leader(_ site: CrashSite) async throws -> (lease: String, instance: CrashInstance) {
        try await eventually("somebody leads") { try await !site.redis.ask("get", Keys().leader).isEmpty }
        let lease = try await site.redis.ask("get", Keys().leader)
        for instance in site.instances {
            let names = try FileNames.list("\(instance.directory)/journal")
            if names.contains(where: { lease.contains($0.dropLast(".journal".count)) }) { return (lease, instance) }
        }
        throw TimedOut(description: "no instance is the one that the lease names: \(lease)")
    }

    private func takeover(_ site: CrashSite, from old: String) async throws -> Duration {
        let start = ContinuousClock.now
        try await eventually("another leads") {
            let lease = try await site.redis.ask("get", Keys().leader)
            return !lease.isEmpty && lease != old
        }
        return ContinuousClock.now - start
    }
}
