import PerennialServers
import Testing

/// A holder that stands still for longer than its lock lives, and callers who go away.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PausedHolderTests {
    /// The claim is in Redis, its reply is held back, and the holder sleeps over its lock: it must not send any more.
    @Test func aHolderStoppedBeforeSendingSendsNothingAndTheSuccessorProceeds() async throws {
        try await CrashSite.run(.init(instances: 2, times: .short)) { site in
            try await site.warmUp()
            let account = try await site.add(isExpired: true)
            site.redisWires[0].holdReplies(after: CrashSite.begin)
            let caller = Task { await site.read(account, from: 1) }
            try await site.waitForIntent(account)
            await site.instances[0].pause()
            site.redisWires[0].set(.init())
            try await Task.sleep(for: site.lockTTL + .seconds(1))
            let answer = await site.read(account, from: 2)
            #expect(answer.status == 200)
            #expect(answer.generation == 2)
            await site.instances[0].resume()
            _ = await caller.value
            #expect(try await site.expectOneRefresh(account))
        }
    }

    /// The provider has rotated and its answer waits in the holder's socket: it is committed, however late.
    @Test func theAnswerOfAHolderStoppedDuringTheExchangeIsStillStored() async throws {
        try await CrashSite.run(.init(instances: 2, life: "1h", times: .short)) { site in
            let account = try await site.add()
            site.holdAnswer()
            let caller = Task { await site.refresh(account, from: 1) }
            try await site.waitForRotations(1)
            await site.instances[0].pause()
            site.letAnswersPass()
            try await Task.sleep(for: site.lockTTL + .seconds(1))
            // The token is good: nobody needs to risk a second use.
            let late = await site.refresh(account, from: 2)
            #expect(late.status != 200)
            let meanwhile = await site.read(account, from: 2)
            #expect(meanwhile.generation == 1)
            await site.instances[0].resume()
            _ = await caller.value
            #expect(try await site.expectOneRefresh(account))
        }
    }

    @Test func aCallerThatGoesAwayAbandonsNoRotation() async throws {
        try await CrashSite.run { site in
            let account = try await site.add(isExpired: true)
            site.holdAnswer()
            let caller = Task { await site.read(account) }
            try await site.waitForRotations(1)
            caller.cancel()
            #expect(await caller.value.status == 0)
            // Time for the instance to hear of it.
            try await Task.sleep(for: .milliseconds(300))
            site.letAnswersPass()
            #expect(try await site.expectOneRefresh(account))
        }
    }
}
