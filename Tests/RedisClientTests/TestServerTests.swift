import PerennialServers
import Testing

extension ManyServers {
    /// The helpers that other tests stand on: a Sentinel group and a Cluster that do what they are told.
    @Suite struct TestServerTests {
        /// Between finding a port and listening on it there may be a while.
        @Test func noPortIsGivenTwice() throws {
            let ports = try (0..<200).map { _ in try FreePort.find() } + FreePort.find(200)
            #expect(Set(ports).count == ports.count)
        }

        @Test func aSentinelGroupFailsOver() async throws {
            try await withSentinelGroup { group in
                let first = try await group.primary()
                #expect(first === group.servers[0])
                try await group.failOver()
                #expect(try await group.primary() !== first)
                try await group.waitUntilHealthy(timeout: .seconds(60))
                let second = try await group.primary()
                await second.kill()
                try await group.waitForFailover(from: second)
                #expect(try await group.primary() === first)
                try await second.restart()
                try await group.waitUntilHealthy(timeout: .seconds(60))
                #expect(try await second.ask("role").hasPrefix("slave"))
            }
        }

        @Test func aClusterMovesSlotsAndFailsOver() async throws {
            try await withRedisCluster { cluster in
                let first = cluster.servers[0]
                let before = try await cluster.nodes().first { $0.port == first.port }?.slotCount ?? 0
                try await cluster.reshard(slots: 10, from: first, to: cluster.servers[1])
                try await cluster.waitUntilHealthy(timeout: .seconds(60))
                #expect(try await cluster.nodes().first { $0.port == first.port }?.slotCount == before - 10)
                await first.kill()
                try await cluster.waitForFailover(from: first)
                let primaries = try await cluster.primaries()
                #expect(primaries.count == 3 && !primaries.contains { $0 === first })
                try await first.restart()
                try await cluster.waitUntilHealthy(timeout: .seconds(60))
                #expect(try await first.ask("role").hasPrefix("slave"))
            }
        }
    }
}
