import PerennialServers
import RedisStore
import RefreshCore
import Testing

/// The fleet's clock follows the server's `TIME`, which is as old as the reply that carries it.
@Suite(.timeLimit(.minutes(10)))
struct FleetClockTests {
    /// A stopped process finds its reply in the socket when it goes on; here the proxy keeps it for as long.
    @Test func aReplyThatWasReadLateDoesNotSetTheClockBack() async throws {
        try await StoreFixture.runBehindProxy { fixture, proxy in
            try await fixture.add("a")
            #expect(await clockError(fixture) < .milliseconds(1500))
            proxy.set(.init(holdsReplies: true))
            let settling = Task {
                try await fixture.settle("a", "attempt-1", generation: 1, .released, kind: .unsent)
            }
            try await Task.sleep(for: .seconds(4))
            proxy.set(.init())
            _ = try await settling.value
            // By as much as the reply was late, had it been taken for the present.
            #expect(await clockError(fixture) < .milliseconds(1500))
        }
    }

    /// How far the fleet's clock is behind this machine's, which is the server's; less by what the question takes.
    private func clockError(_ fixture: StoreFixture) async -> Duration {
        guard let now = try? await fixture.now() else { return .seconds(3600) }
        return now - fixture.link.clock.wall()
    }
}
