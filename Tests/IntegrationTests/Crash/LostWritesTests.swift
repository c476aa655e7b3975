import MockProvider
import PerennialServers
import Testing

/// A server takes over that lacks what the old one had acknowledged, or would lack it.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct LostWritesTests {
    /// The new token was stored, and is lost: whoever stored it puts it back, and nobody sends the old one again.
    @Test func aLostCommitIsRestored() async throws {
        try await CrashSite.run(.init(instances: 2)) { site in
            try await site.warmUp()
            let account = try await site.add(isExpired: true)
            let copy = try site.copyOfRedis()
            #expect(await site.read(account).generation == 2)
            try await site.failOver(to: copy)
            #expect(try await site.expectOneRefresh(account))
            #expect(site.instances[0].log.contains("put back from the journal"))
        }
    }

    /// The claim is lost while its holder is with the provider: nobody gets another one meanwhile, and the answer is stored.
    @Test func aLostClaimIsNotGivenTwice() async throws {
        try await CrashSite.run(.init(instances: 2)) { site in
            try await site.warmUp()
            let account = try await site.add(isExpired: true)
            let copy = try site.copyOfRedis()
            site.holdAnswer()
            let caller = Task { await site.read(account, from: 1) }
            try await site.waitForIntent(account)
            try await site.failOver(to: copy)
            #expect(try await site.field("intent", of: account).isEmpty)
            let other = await site.read(account, from: 2)
            #expect(other.status == 503)
            site.letAnswersPass()
            _ = await caller.value
            #expect(try await site.expectOneRefresh(account))
        }
    }

    /// The primary is cut off from its replica, together with an instance: nothing that it says counts.
    @Test func aPrimaryWithoutItsReplicaIsNotTrusted() async throws {
        try await CrashSite.run(.init(times: .short, durability: "replicas:1")) { site in
            let port = try #require(site.redis.port)
            try await withRedisServer(.init(.tcp, directives: ["replicaof 127.0.0.1 \(port)"])) { replica in
                try await eventually("the replica is in step") {
                    try await site.redis.ask("wait", "1", "100").contains("1")
                }
                let account = try await site.add(isExpired: true)
                await replica.pause()
                // Its first replica gives a server another replication id, which may count as a failover for some seconds.
                try await eventually("the missing replica is named") {
                    let answer = await site.read(account)
                    #expect(answer.status == 503)
                    return answer.detail?.contains("0 of 1 Redis replicas") == true
                }
                #expect(try await site.mock.totals().tokenRequests == 0)
                await replica.resume()
                #expect(try await site.expectOneRefresh(account))
            }
        }
    }
}
