import Journal
import Logging
import RefreshCore
import Sealing
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Looking into journals without touching them, damage, and dropping.
@Suite(.timeLimit(.minutes(10)))
struct JournalSurveyTests {
    private let ring = try! KeyRing(keys: [.generate()])

    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.path + "/survey-\(UInt64.random(in: .min ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    private func directory(_ path: String, ring: KeyRing? = nil) -> JournalDirectory {
        JournalDirectory(
            path: path, ring: ring ?? self.ring, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func entry(_ number: Int, padding: Int = 0) throws -> JournalEntry {
        JournalEntry(
            account: try AccountID("account-\(number)"), provider: try ProviderName("acme"),
            attempt: AttemptID(rawValue: "attempt-\(number)"), generation: Generation(Int64(number)),
            spentRefreshToken: Secret("planted-spent"), isRecovery: false,
            response: RawTokenResponse(
                status: 200, headers: [],
                body: Array("planted-\(number)".utf8) + [UInt8](repeating: 0x20, count: padding),
                requestedAt: WallTime(milliseconds: 5)))
    }

    /// Leaves a closed journal with these entries behind.
    private func write(_ numbers: [Int], to path: String, name: String = "one") async throws {
        let journal = try directory(path).open(fallbackName: name).journal
        for number in numbers { try await journal.append(try entry(number)) }
    }

    private func bytes(_ path: String) throws -> [String: Data] {
        var contents: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: path) {
            contents[name] = try Data(contentsOf: URL(filePath: "\(path)/\(name)"))
        }
        return contents
    }

    @Test func aSurveyShowsEveryJournalAndChangesNothing() async throws {
        try await withDirectory { path in
            #expect(try directory(path).survey().isEmpty)
            #expect(!FileManager.default.fileExists(atPath: path))
            let (id, journal) = try directory(path).open(fallbackName: "running")
            try await journal.append(try entry(1))
            do {
                let other = try directory(path).open(fallbackName: "stopped").journal
                for number in 2...3 { try await other.append(try entry(number)) }
                await other.release(AttemptID(rawValue: "attempt-2"))
                await other.close(removingIfEmpty: false)
            }
            let before = try bytes(path)
            let reports = try directory(path).survey()
            #expect(try bytes(path) == before)
            #expect(reports.map(\.instance) == [id.rawValue, "stopped"])
            #expect(reports.map(\.isHeld) == [true, false])
            #expect(reports.map { $0.items.map(\.attempt.rawValue) } == [["attempt-1"], ["attempt-3"]])
            #expect(reports.map(\.tornBytes) == [0, 0])
            guard case .entry(let found)? = reports.last?.items.first else {
                Issue.record("the entry was not opened")
                return
            }
            #expect(found == (try entry(3)))
            // The running instance goes on as before, and its journal is still its own.
            try await journal.append(try entry(4))
            #expect(await journal.pending().map(\.generation) == [Generation(1), Generation(4)])
            #expect(try directory(path).survey().first?.isHeld == true)
        }
    }

    /// An instance that starts while somebody looks gets its journal all the same.
    @Test func aSurveyKeepsNoInstanceFromItsJournal() async throws {
        try await withDirectory { path in
            try await write([1], to: path)
            let directory = directory(path)
            let looking = Task.detached {
                while !Task.isCancelled {
                    _ = try directory.survey()
                    await Task.yield()
                }
            }
            for _ in 0..<100 {
                await Task.yield()
                let (id, journal) = try directory.open(fallbackName: "another")
                #expect(id.rawValue == "one")
                #expect(await journal.pending().count == 1)
            }
            looking.cancel()
            _ = await looking.result
        }
    }

    @Test func entriesOfAnotherKeyAreShownAsUnreadable() async throws {
        try await withDirectory { path in
            try await write([1], to: path)
            let report = try #require(
                try directory(path, ring: KeyRing(keys: [.generate()])).survey().first)
            guard case .unreadable(let attempt, let reason)? = report.items.first else {
                Issue.record("an entry of another key was opened")
                return
            }
            #expect(attempt == AttemptID(rawValue: "attempt-1"))
            #expect(reason.contains("attempt-1"))
        }
    }

    /// A crash in the middle of a write: the survey says so and leaves the bytes to whoever opens the journal.
    @Test func aTornTailIsCountedAndStays() async throws {
        try await withDirectory { path in
            try await write([1, 2], to: path)
            let file = URL(filePath: "\(path)/one.journal")
            let whole = try Data(contentsOf: file)
            try whole.dropLast(10).write(to: file)
            let report = try #require(try directory(path).survey().first)
            #expect(report.items.map(\.attempt.rawValue) == ["attempt-1"])
            #expect(report.tornBytes > 10)
            #expect(try Data(contentsOf: file).count == whole.count - 10)
        }
    }

    /// One bad sector must not cost the answers behind it.
    @Test func damageInTheMiddleLosesOnlyWhatItHit() async throws {
        try await withDirectory { path in
            try await write([1, 2, 3], to: path)
            let file = URL(filePath: "\(path)/one.journal")
            var damaged = try Data(contentsOf: file)
            let third = damaged.count / 3
            for offset in (third + 20)..<(third + 40) { damaged[offset] ^= 0x5a }
            try damaged.write(to: file)
            let report = try #require(try directory(path).survey().first)
            #expect(report.items.map(\.attempt.rawValue) == ["attempt-1", "attempt-3"])
            #expect(report.tornBytes > 0)
            do {
                let journal = try directory(path).open(fallbackName: "x").journal
                #expect(await journal.pending().map(\.attempt.rawValue) == ["attempt-1", "attempt-3"])
                try await journal.append(try entry(4))
            }
            #expect(try directory(path).survey().first?.items.count == 3)
        }
    }

    /// What is read in from an abandoned journal that is damaged does not take the evidence with it.
    @Test func aDamagedJournalIsSetAsideWhenItIsReadIn() async throws {
        try await withDirectory { path in
            do {
                let (_, first) = try directory(path).open(fallbackName: "a")
                try await first.append(try entry(9))
                try await write([1, 2, 3], to: path, name: "b")
            }
            let file = URL(filePath: "\(path)/b.journal")
            var damaged = try Data(contentsOf: file)
            damaged[damaged.count / 2] ^= 0xff
            try damaged.write(to: file)
            do {
                let (id, journal) = try directory(path).open(fallbackName: "x")
                #expect(id.rawValue == "a")
                #expect(await journal.pending().map(\.attempt.rawValue) == ["attempt-9", "attempt-1", "attempt-3"])
            }
            #expect(Set(try bytes(path).keys) == ["a.journal", "b.journal.damaged-1"])
            #expect(try Data(contentsOf: URL(filePath: "\(path)/b.journal.damaged-1")) == damaged)
            #expect(try directory(path).survey().map(\.instance) == ["a"])
        }
    }

    /// Garbage that looks like long records is passed over in reasonable time.
    @Test func aLargeStretchOfGarbageIsPassedOver() async throws {
        try await withDirectory { path in
            try await write([1], to: path)
            let file = URL(filePath: "\(path)/one.journal")
            let whole = try Data(contentsOf: file)
            var generator = SplitMix64(seed: 7)
            let garbage = (0..<20_000).map { _ in UInt8.random(in: 0...3, using: &generator) }
            try (Data(garbage) + whole).write(to: file)
            let report = try #require(try directory(path).survey().first)
            #expect(report.items.map(\.attempt.rawValue) == ["attempt-1"])
            #expect(report.tornBytes == garbage.count)
        }
    }

    /// What is stored and only kept for a while is not mixed up with what waits.
    @Test func whatIsStoredSaysSo() async throws {
        try await withDirectory { path in
            let keeping = JournalDirectory(
                path: path, ring: ring, retention: .seconds(600),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            do {
                let journal = try keeping.open(fallbackName: "one").journal
                for number in 1...2 { try await journal.append(try entry(number)) }
                await journal.retain(AttemptID(rawValue: "attempt-1"))
                await journal.close(removingIfEmpty: false)
            }
            let stored = try #require(try keeping.survey().first).items.map { item in
                if case .entry(let entry) = item { entry.isStored } else { false }
            }
            #expect(stored == [true, false])
            let journal = try keeping.open(fallbackName: "x").journal
            #expect(await journal.pending().map(\.attempt.rawValue) == ["attempt-2"])
            #expect(await journal.retained().map(\.attempt.rawValue) == ["attempt-1"])
        }
    }

    @Test func aDroppedEntryIsGoneAndTheOthersStay() async throws {
        try await withDirectory { path in
            try await write([1, 2], to: path)
            let attempt = AttemptID(rawValue: "attempt-1")
            #expect(try directory(path).drop(attempt) == .dropped(instance: "one"))
            #expect(try directory(path).drop(attempt) == .missing)
            let journal = try directory(path).open(fallbackName: "x").journal
            #expect(await journal.pending().map(\.attempt.rawValue) == ["attempt-2"])
        }
    }

    @Test func theEntryOfARunningInstanceIsNotDropped() async throws {
        try await withDirectory { path in
            let journal = try directory(path).open(fallbackName: "running").journal
            try await journal.append(try entry(1))
            #expect(try directory(path).drop(AttemptID(rawValue: "attempt-1")) == .held(instance: "running"))
            #expect(try directory(path).survey().first?.items.count == 1)
            #expect(await journal.pending().count == 1)
        }
    }
}
