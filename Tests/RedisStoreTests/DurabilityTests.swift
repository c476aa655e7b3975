import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import Testing

/// The durability setting against real servers.
@Suite(.timeLimit(.minutes(10)))
struct DurabilityTests {
    @Test func withoutReplicasAClaimIsNotToBeUsed() async throws {
        try await StoreFixture.run(durability: .replicas(1), durabilityTimeout: .milliseconds(50)) { fixture in
            try await fixture.add("a")
            guard case .undurable(let claim, let reason) = try await fixture.begin("a", "attempt-1") else {
                Issue.record("a claim that no replica has was granted")
                return
            }
            #expect(claim.attempt.rawValue == "attempt-1")
            #expect(reason.contains("0 of 1"))
            // It is written all the same, and has to be taken back.
            let settled = try await fixture.settle("a", "attempt-1", generation: 1, .released, kind: .unsent)
            guard case .settled(let snapshot) = settled else {
                Issue.record("the claim was not there")
                return
            }
            #expect(snapshot.intent == nil)
        }
    }

    @Test func withoutReplicasACommitIsCarriedOutAndUnconfirmed() async throws {
        try await StoreFixture.run(durability: .replicas(1), durabilityTimeout: .milliseconds(50)) { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            let reply = try await fixture.commit("a", "attempt-1", generation: 1)
            #expect(reply.outcome == .committed(enabled: true))
            #expect(!reply.isSafe)
            #expect(try await fixture.account("a")?.generation == Generation(2))
            #expect(try await fixture.commit("a", "attempt-1", generation: 1).outcome == .already)
        }
    }

    @Test func aReplicaConfirms() async throws {
        try await StoreFixture.run(.init(.tcp), durability: .replicas(1), durabilityTimeout: .seconds(5)) { fixture in
            let primary = try #require(fixture.server.port)
            try await withRedisServer(.init(.tcp, directives: ["replicaof 127.0.0.1 \(primary)"])) { _ in
                try await fixture.add("a")
                // Until the replica is in step a wait is in vain; then the same attempt is granted.
                var reply = try await fixture.begin("a", "attempt-1")
                for _ in 0..<20 where reply.word == "undurable" { reply = try await fixture.begin("a", "attempt-1") }
                #expect(reply.word == "granted")
                #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .committed(enabled: true))
                // A repeated commit writes again, so that there is something to confirm.
                #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .already)
            }
        }
    }

    /// Redis 7.0 has no WAITAOF, later ones want `appendonly yes`: either way the gate stays closed.
    @Test func aServerThatCannotConfirmItsDiskIsNotUsed() async throws {
        var message = ""
        do {
            try await StoreFixture.run(durability: .appendOnlyFile) { _ in
                Issue.record("the store was opened")
            }
        } catch let error as StoreError {
            #expect(error.code == .refused)
            message = error.message
        }
        #expect(message.contains("redis.durability: aof needs Redis 7.2 or later with appendonly yes"))
    }
}
