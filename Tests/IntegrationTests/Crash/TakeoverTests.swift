import PerennialServers
import RedisStore
import Testing

/// How soon another leads when the leader is gone.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TakeoverTests {
    @Test func afterAKillWithinTheLeaseAndASecond() async throws {
        let setup = CrashSite.Setup(instances: 3, isProactive: true)
        try await expectTakeover(within: setup.leaseTTL + .seconds(1), setup) { await $0.kill() }
    }

    /// The lease is given back: nobody waits for its end.
    @Test func afterARequestToStopWithinHalfASecond() async throws {
        let setup = CrashSite.Setup(instances: 3, isProactive: true, leaseTTL: .seconds(60))
        try await expectTakeover(within: .milliseconds(500), setup) { await $0.ask() }
    }

    /// In one of three tries: a machine that stands still makes one of them late, a mistake all three.
    private func expectTakeover(
        within bound: Duration, _ setup: CrashSite.Setup, afterEnding end: @Sendable (CrashInstance) async -> Void
    ) async throws {
        try await CrashSite.run(setup) { site in
            var times: [Duration] = []
            for _ in 0..<3 {
                let (old, leader) = try await self.leader(site)
                await end(leader)
                let took = try await takeover(site, from: old)
                if took < bound { return }
                times.append(took)
                await leader.kill()
                try await leader.start()
                try await site.waitUntilReady(leader)
            }
            Issue.record("\(times)")
        }
    }

    /// What the lease says, and the instance that wrote it: the one whose journal has that name.
    private func leader(_ site: CrashSite) async throws -> (lease: String, instance: CrashInstance) {
        let lease = try await lease(site)
        for instance in site.instances {
            let names = try FileNames.list("\(instance.directory)/journal")
            if names.contains(where: { lease.contains($0.dropLast(".journal".count)) }) { return (lease, instance) }
        }
        throw TimedOut(description: "no instance is the one that the lease names: \(lease)")
    }

    private func takeover(_ site: CrashSite, from old: String) async throws -> Duration {
        let start = ContinuousClock.now
        _ = try await lease(site, otherThan: old)
        return ContinuousClock.now - start
    }

    /// Waits until there is one.
    private func lease(_ site: CrashSite, otherThan old: String = "") async throws -> String {
        let deadline = ContinuousClock.now + .seconds(100)
        while ContinuousClock.now < deadline {
            let lease = try await site.redis.ask("get", Keys().leader)
            if !lease.isEmpty, lease != old { return lease }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw TimedOut(description: "nobody leads")
    }
}
