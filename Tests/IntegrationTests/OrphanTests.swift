import Journal
import Logging
import MockProvider
import Perennial
import PerennialServers
import Providers
import RedisStore
import RefreshCore
import Testing

/// Recovery by people, on a real Redis with real HTTP to the provider.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct OrphanTests {
    /// Re-authorisation during a refresh wins; the late answer is kept, listed, restored and served by every instance.
    @Test func aLateAnswerIsKeptListedRestoredAndServed() async throws {
        try await Fleet.run(.init(instances: 2, isWired: true)) { fleet in
            let id = try #require(try await fleet.add(1, lifetime: .seconds(-10)).first)
            let (first, second) = (fleet.instances[0], fleet.instances[1])
            fleet.wire?.holdReplies(after: "/oauth2/token")
            let refreshing = Task { try await first.reader.token(TokenRequest(account: id)) }
            try await eventually("the refresh token is on its way") {
                try await first.directory.read(id)?.intent != nil && fleet.mock.totals().tokenRequests == 1
            }
            // Somebody logs in meanwhile.
            _ = try await fleet.add(1)
            fleet.wire?.set(.init())
            let answer = try await refreshing.value
            #expect(answer.snapshot.generation == Generation(2))
            let orphans = try await second.orphans.orphans(of: id)
            let orphan = try #require(orphans.first)
            #expect(orphans.count == 1)
            #expect(orphan.cause == .moved && orphan.generation == Generation(1) && orphan.newest == Generation(2))
            #expect(orphan.origin == first.id)

            let reply = try await second.orphans.restore(orphan.attempt, of: id, force: false)
            #expect(reply == .restored(Generation(3)))
            for instance in fleet.instances {
                try await eventually("the restored token is served") {
                    let token = try await instance.reader.token(TokenRequest(account: id))
                    return token.snapshot.generation == Generation(3) && token.accessToken != answer.accessToken
                }
            }
            // It lives: its refresh token is good for the next one.
            let next = try await first.reader.token(TokenRequest(account: id, refused: Generation(3)))
            #expect(next.snapshot.generation == Generation(4))
            let totals = fleet.mock.totals()
            #expect(totals.refreshes == 2)
            #expect(totals.duplicateSpends == 0)
        }
    }

    /// A refused account with an orphan is not asked for again, and says what a person can do.
    @Test func aRefusedAccountWithAnOrphanSpendsNothingUntilAPersonDecides() async throws {
        try await Fleet.run(.init(instances: 2, isWired: true)) { fleet in
            let id = try #require(try await fleet.add(1, lifetime: .seconds(-10)).first)
            let (first, second) = (fleet.instances[0], fleet.instances[1])
            fleet.wire?.holdReplies(after: "/oauth2/token")
            let refreshing = Task { try await first.reader.token(TokenRequest(account: id)) }
            try await eventually("the refresh token is on its way") { fleet.mock.totals().tokenRequests == 1 }
            _ = try await fleet.add(1)
            fleet.wire?.set(.init())
            _ = try await refreshing.value
            try fleet.mock.setFaults([MockFault(.invalidGrant, .next(1))])
            for instance in [first, second, first] {
                let result = await instance.coordinator.refresh(
                    id, provider: Fleet.provider, demand: .newerThan(Generation(2)), ignoresBackoff: true
                ).result
                guard case .failed(let failure, _) = result else {
                    Issue.record("a refused token was refreshed")
                    return
                }
                #expect(failure.code == .outcomeUnknown)
                #expect(failure.cause == .refused)
                #expect(failure.message.contains("orphan"))
            }
            #expect(fleet.mock.totals().tokenRequests == 2)
            #expect(try await second.directory.read(id)?.status == .degraded)
            // Its token is still good, and still served.
            #expect(try await second.reader.token(TokenRequest(account: id)).snapshot.generation == Generation(2))

            let orphan = try #require(try await second.orphans.orphans(of: id).first)
            #expect(try await second.orphans.drop(orphan.attempt, of: id) == .droppedLast)
            let failure = await #expect(throws: RefreshFailure.self) {
                _ = try await second.reader.token(TokenRequest(account: id, refused: Generation(2)))
            }
            #expect(failure?.code == .reauthRequired)
            #expect(failure?.cause == .refused)
            #expect(fleet.mock.totals().tokenRequests == 2)
        }
    }

    /// A 200 that cannot be read stays in the journal, is seen from outside, and is named by the instance.
    @Test func anAnswerOfNoUseStaysAndIsShown() async throws {
        try await Fleet.run(.init(instances: 1, faults: ["unparseable@x1"])) { fleet in
            let id = try #require(try await fleet.add(1, lifetime: .seconds(-10)).first)
            let instance = fleet.instances[0]
            let failure = await #expect(throws: RefreshFailure.self) {
                _ = try await instance.reader.token(TokenRequest(account: id))
            }
            #expect(failure?.code == .outcomeUnknown)
            #expect(failure?.cause == .ambiguous)
            let entries = await instance.unusableAnswers()
            #expect(entries.map(\.account) == [id])
            let desk = try JournalDirectory(
                lookingInto: instance.configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let report = try #require(try desk.survey().first)
            #expect(report.isHeld && report.instance == instance.id.rawValue)
            #expect(report.items.map(\.attempt) == entries.map(\.attempt))
            let attempt = try #require(entries.first?.attempt)
            #expect(try desk.drop(attempt) == .held(instance: instance.id.rawValue))
            // The account shows whose answer that is.
            #expect(try await instance.directory.read(id)?.intent?.attempt == attempt)
        }
    }
}
