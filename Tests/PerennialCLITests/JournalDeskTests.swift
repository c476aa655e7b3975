import ArgumentParser
import FoundationEssentials
import Journal
import Logging
import PerennialConfiguration
import Providers
import RefreshCore
import Sealing
import Testing

@testable import PerennialCLI

/// What `perennial journal` says of the journals of a machine.
struct JournalDeskTests {
    private static let ring = try! KeyRing(keys: [.generate()])
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let now = WallTime(milliseconds: 1_795_255_020_000)

    private func withDesk(_ body: (JournalDirectory, JournalDesk) async throws -> Void) async throws {
        let directory = try TemporaryDirectory(prefix: "perennial-test-", in: nil)
        defer { directory.remove() }
        let configuration = try PerennialConfiguration.parse(
            """
            redis: { url: "redis://localhost" }
            providers:
              acme: { preset: oauth2, token_url: "https://acme.test/token", client_id: x, client_auth: none }

            """, environment: ["HOME": directory.path])
        let journals = JournalDirectory(path: "\(directory.path)/journal", ring: Self.ring, logger: Self.logger)
        try await body(
            journals, JournalDesk(directory: journals, catalog: configuration.providers, now: Self.now))
    }

    private func entry(_ attempt: String, provider: String = "acme", body: String) throws -> JournalEntry {
        JournalEntry(
            account: try AccountID("alice"), provider: try ProviderName(provider),
            attempt: AttemptID(rawValue: attempt), generation: Generation(4),
            spentRefreshToken: Secret("planted-spent"), isRecovery: attempt == "resent",
            response: RawTokenResponse(
                status: 200, headers: [.init(name: "Content-Type", value: "application/json")], body: Array(body.utf8),
                requestedAt: Self.now - .seconds(90)))
    }

    /// Its lock goes with a journal, whose last write may still be coming to its end.
    private func waitUntilNobodyHolds(_ desk: JournalDesk) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try desk.findings().contains(where: \.held), ContinuousClock.now < deadline { await Task.yield() }
    }

    private static let good = #"{"access_token":"planted-a","refresh_token":"planted-r","expires_in":3600}"#

    @Test func everyEntryIsJudgedAndNoTokenIsShown() async throws {
        try await withDesk { journals, desk in
            #expect(try desk.findings().isEmpty)
            do {
                let journal = try journals.open(fallbackName: "one").journal
                try await journal.append(try entry("good", body: Self.good))
                try await journal.append(try entry("resent", body: "<html>planted-html-1</html>"))
                try await journal.append(try entry("foreign", provider: "gone", body: Self.good))
            }
            try await waitUntilNobodyHolds(desk)
            let findings = try desk.findings()
            #expect(findings.map(\.attempt) == ["good", "resent", "foreign"])
            #expect(findings.map(\.worth) == [.usable, .unusable, .unusable])
            #expect(findings.allSatisfy { $0.instance == "one" && !$0.held && $0.age == 90 && $0.generation == 4 })
            #expect(findings.map(\.recovery) == [false, true, false])
            #expect(findings[0].reason.contains("a new refresh token"))
            #expect(findings[2].reason.contains("gone"))
            let shown = try desk.find(AttemptID(rawValue: "resent"))
            let answer = try #require(shown.entry).response
            let lines =
                JournalCommand.table(findings)
                + JournalCommand.describe(shown.finding, MaskedAnswer(answer, secrets: [Secret("planted-spent")]))
            #expect(!lines.joined().contains("planted"))
            #expect(lines.contains { $0.contains("<html>***</html>") })
            #expect(lines.contains { $0.contains("re-send") })
            let warnings = JournalWords.warnings(try desk.reports(), catalog: desk.catalog, now: desk.now)
            #expect(warnings.count == 1)
            #expect(warnings.first?.contains("holds 2 answers") == true)
        }
    }

    @Test func whatIsStoredIsNoReasonForAWarning() async throws {
        try await withDesk { journals, desk in
            let keeping = JournalDirectory(
                path: journals.path, ring: Self.ring, retention: .seconds(600), logger: Self.logger)
            do {
                let journal = try keeping.open(fallbackName: "one").journal
                try await journal.append(try entry("good", body: Self.good))
                await journal.retain(AttemptID(rawValue: "good"))
                await journal.close(removingIfEmpty: false)
            }
            #expect(try desk.findings().map(\.worth) == [.stored])
            #expect(JournalWords.warnings(try desk.reports(), catalog: desk.catalog, now: desk.now).isEmpty)
        }
    }

    @Test func entriesOfAnotherKeyAreUnreadable() async throws {
        try await withDesk { journals, desk in
            do {
                let journal = try journals.open(fallbackName: "one").journal
                try await journal.append(try entry("good", body: Self.good))
            }
            let other = JournalDesk(
                directory: JournalDirectory(
                    path: journals.path, ring: try KeyRing(keys: [.generate()]), logger: Self.logger),
                catalog: desk.catalog, now: desk.now)
            let finding = try #require(try other.findings().first)
            #expect(finding.worth == .unreadable && finding.account == nil)
            #expect(JournalWords.warnings(try other.reports(), catalog: other.catalog, now: other.now).count == 1)
        }
    }

    @Test func droppingNeedsAnEntryThatNobodyHolds() async throws {
        try await withDesk { journals, desk in
            let attempt = AttemptID(rawValue: "good")
            do {
                let journal = try journals.open(fallbackName: "one").journal
                try await journal.append(try entry("good", body: Self.good))
                let failure = #expect(throws: CommandFailure.self) { _ = try desk.drop(attempt) }
                #expect(failure?.code == .local)
                #expect(failure?.description.contains("instance one is running") == true)
                #expect(await journal.pending().count == 1)
            }
            try await waitUntilNobodyHolds(desk)
            #expect(try desk.drop(attempt) == "one")
            let failure = #expect(throws: CommandFailure.self) { _ = try desk.drop(attempt) }
            #expect(failure?.description.contains("no entry of attempt good") == true || failure?.code == .local)
            #expect(try desk.findings().isEmpty)
        }
    }

    @Test func aTornEndIsSaidOnlyOfAJournalThatNobodyWrites() async throws {
        try await withDesk { journals, desk in
            let journal = try journals.open(fallbackName: "one").journal
            try await journal.append(try entry("good", body: Self.good))
            let file = URL(filePath: "\(journals.path)/one.journal")
            var bytes = try Data(contentsOf: file)
            bytes.append(contentsOf: [0, 0, 0])
            try bytes.write(to: URL(filePath: "\(journals.path)/two.journal"))
            let said = try desk.reports().map { JournalWords.damage($0).count }
            #expect(said == [0, 1])
        }
    }
}

/// The commands as people type them.
struct RecoveryCommandTests {
    @Test(arguments: [
        ["journal", "list", "--json"], ["journal", "show", "abc"], ["journal", "replay"],
        ["journal", "drop", "abc", "--yes"], ["accounts", "orphans", "a"],
        ["accounts", "restore", "a", "abc", "--force"],
        ["accounts", "drop-orphan", "a", "abc", "--yes", "--json"],
    ])
    func parse(arguments: [String]) throws {
        _ = try PerennialCommand.parseAsRoot(arguments)
    }

    @Test(arguments: [
        ["journal", "show"], ["journal", "drop", ""], ["accounts", "restore", "a"], ["accounts", "orphans", "not ok"],
    ])
    func refuse(arguments: [String]) {
        #expect(throws: (any Error).self) { _ = try PerennialCommand.parseAsRoot(arguments) }
    }

    @Test(arguments: [
        RestoreReply.busy(.held), .busy(.open), .busy(.foreign), .noOrphan, .noAccount,
    ])
    func whatCannotBeRestoredIsALocalFailure(reply: RestoreReply) throws {
        let failure = #expect(throws: CommandFailure.self) {
            _ = try AccountsCommand.restored(
                reply, account: try AccountID("a"), attempt: AttemptID(rawValue: "abc"))
        }
        #expect(failure?.code == .local)
    }

    @Test func anAccountShowsItsOrphansAndItsUnresolvedSpend() throws {
        let now = WallTime(milliseconds: 1_795_255_020_000)
        var account = AccountSnapshot(
            id: try AccountID("a"), provider: try ProviderName("acme"), generation: Generation(3), createdAt: now,
            updatedAt: now)
        account.intent = RefreshIntent(
            attempt: AttemptID(rawValue: "abc"), generation: Generation(3), origin: try InstanceID("i1"),
            state: .ambiguous, at: now - .seconds(60), firstAt: now - .seconds(60), resends: 0)
        let orphans = [
            Orphan(
                attempt: AttemptID(rawValue: "def"), generation: Generation(1), keptAt: now - .seconds(120),
                cause: .moved,
                expiresAt: now + .seconds(60), canBeOpened: true),
            Orphan(attempt: AttemptID(rawValue: "ghi"), generation: Generation(1), keptAt: now),
        ]
        let lines = AccountsCommand.describe(account, orphans: orphans, now: now)
        #expect(
            lines.contains {
                $0.hasSuffix(
                    "attempt abc of instance i1, 1 min ago: the answer was lost, so the refresh token may have been used up"
                )
            })
        #expect(
            lines.contains {
                $0.contains("def, kept 2 min ago: the account had got newer") && $0.hasSuffix("ends in 1 min")
            })
        #expect(lines.contains { $0.contains("ghi") && $0.hasSuffix("no key at hand opens it") })
    }
}
