import MockProvider
import PerennialServers
import Testing

/// SIGKILL between any two steps of a refresh.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct KilledInstanceTests {
    @Test func afterBeginNothingWasSentAndTheTokenIsStillThere() async throws {
        try await CrashSite.run(.init(times: .short)) { site in
            try await site.warmUp()
            let account = try await site.add(isExpired: true)
            site.redisWires[0].holdReplies(after: CrashSite.begin)
            let caller = Task { await site.read(account) }
            try await site.waitForIntent(account)
            try await restart(site, caller)
            #expect(try await site.expectOneRefresh(account))
        }
    }

    /// The answer is lost with the process. Within its grace the provider gives it once more.
    @Test func duringTheExchangeTheGraceBringsTheAnswerBack() async throws {
        let setup = CrashSite.Setup(rotation: ("grace:120s", "{ grace: 120s }"), times: .short)
        try await CrashSite.run(setup) { site in
            let account = try await site.add(isExpired: true)
            site.holdAnswer()
            let caller = Task { await site.read(account) }
            try await site.waitForRotations(1)
            try await restart(site, caller)
            try await eventually("the account has its new token") {
                let answer = await site.read(account)
                let isTaken = await site.isTaken(answer.token)
                return answer.generation == 2 && isTaken
            }
            let totals = try await site.mock.totals()
            #expect(totals.graceReplays == 1)
            #expect(totals.duplicateSpends == 0)
            #expect(site.instances[0].log.contains("recovery: sending a refresh token once more"))
        }
    }

    @Test func betweenJournalAndCommitTheJournalHasIt() async throws {
        try await CrashSite.run { site in
            let account = try await site.add(isExpired: true)
            site.holdAnswer()
            let caller = Task { await site.read(account) }
            try await site.waitForRotations(1)
            site.redisWires[0].set(.init(holdsRequests: true))
            site.letAnswersPass()
            try await site.waitForJournal()
            #expect(try await site.field("generation", of: account) == "1")
            try await restart(site, caller)
            #expect(try await site.expectOneRefresh(account))
        }
    }

    @Test func afterCommitItsReplyDoesNotMatter() async throws {
        try await CrashSite.run { site in
            try await site.warmUp()
            let account = try await site.add(isExpired: true)
            site.holdAnswer()
            let caller = Task { await site.read(account) }
            try await site.waitForRotations(2)
            site.redisWires[0].holdReplies(after: CrashSite.commit)
            site.letAnswersPass()
            try await eventually("the new token is stored") { try await site.field("generation", of: account) == "2" }
            try await restart(site, caller)
            #expect(try await site.expectOneRefresh(account))
        }
    }

    /// Kills instance 1, lets the wires pass again, and starts it anew.
    private func restart(_ site: CrashSite, _ caller: Task<CrashSite.Answer, Never>) async throws {
        await site.instances[0].kill()
        _ = await caller.value
        // What is still on its way is lost with the connection.
        for wire in [site.redisWires[0], site.providerWires[0]] {
            wire.cut()
            wire.set(.init())
        }
        try await site.instances[0].start()
        try await site.waitUntilReady(site.instances[0])
    }
}
