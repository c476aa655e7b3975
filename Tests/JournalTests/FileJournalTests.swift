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

/// The journal on a real disk, in a directory of its own.
@Suite(.timeLimit(.minutes(10)))
struct FileJournalTests {
    private let ring = try! KeyRing(keys: [.generate()])

    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.path + "/journal-\(UInt64.random(in: .min ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    private func open(
        _ path: String, name: String = "one", ring: KeyRing? = nil, retention: Duration = .zero
    ) throws -> (InstanceID, FileJournal) {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let opened = try JournalDirectory(
            path: path, ring: ring ?? self.ring, retention: retention, logger: logger
        ).open(fallbackName: name)
        return (opened.instance, opened.journal)
    }

    private func entry(_ number: Int) throws -> JournalEntry {
        JournalEntry(
            account: try AccountID("account-\(number)"), provider: try ProviderName("acme"),
            attempt: AttemptID(rawValue: "attempt-\(number)"), generation: Generation(Int64(number)),
            spentRefreshToken: Secret("planted-spent"), isRecovery: number.isMultiple(of: 2),
            response: RawTokenResponse(
                status: 200, headers: [.init(name: "Content-Type", value: "application/json")],
                body: Array("{\"access_token\":\"planted-\(number)\"}".utf8), requestedAt: WallTime(milliseconds: 5),
                isReplay: number.isMultiple(of: 2)))
    }

    @Test func entriesSurviveACrashUntilTheyAreReleased() async throws {
        try await withDirectory { path in
            do {
                let (_, journal) = try open(path)
                for number in 0..<20 { try await journal.append(try entry(number)) }
                for number in 0..<10 { await journal.release(AttemptID(rawValue: "attempt-\(number)")) }
                await journal.close(removingIfEmpty: false)
            }
            let (id, journal) = try open(path, name: "another")
            #expect(id.rawValue == "one")
            #expect(await journal.pending() == (try (10..<20).map { try entry($0) }))
        }
    }

    /// What is stored is kept for a while, over a crash too, and told apart from what is not known to be stored.
    @Test func storedEntriesAreRetained() async throws {
        try await withDirectory { path in
            do {
                let (_, journal) = try open(path, retention: .seconds(3600))
                for number in 0..<6 { try await journal.append(try entry(number)) }
                for number in 0..<3 { await journal.retain(AttemptID(rawValue: "attempt-\(number)")) }
                await journal.releaseExpired()
                #expect(await journal.pending() == (try (3..<6).map { try entry($0) }))
                await journal.close(removingIfEmpty: true)
            }
            let (_, journal) = try open(path, retention: .milliseconds(1))
            #expect(await journal.pending() == (try (3..<6).map { try entry($0) }))
            let retained = await journal.retained()
            #expect(retained.map(\.attempt.rawValue) == ["attempt-0", "attempt-1", "attempt-2"])
            #expect(retained.map(\.isStored) == [true, true, true])
            #expect(await journal.entries(of: try AccountID("account-1")).map(\.isStored) == [true])
            try await Task.sleep(for: .milliseconds(5))
            await journal.releaseExpired()
            #expect(await journal.retained().isEmpty)
            #expect(await journal.pending().count == 3)
        }
    }

    @Test func withoutRetentionWhatIsStoredIsForgotten() async throws {
        try await withDirectory { path in
            let (_, journal) = try open(path)
            try await journal.append(try entry(1))
            await journal.retain(AttemptID(rawValue: "attempt-1"))
            #expect(await journal.retained().isEmpty)
            #expect(await journal.entries(of: try AccountID("account-1")).isEmpty)
        }
    }

    /// A file that is never empty is written anew with what is still held, and stays locked while it is.
    @Test func aLargeFileIsWrittenAnew() async throws {
        try await withDirectory { path in
            let file = URL(filePath: "\(path)/one.journal")
            do {
                let (_, journal) = try open(path)
                try await journal.append(try entry(0))
                var large = try entry(1)
                large.response.body = [UInt8](repeating: 0x61, count: 1 << 18)
                var largest = 0
                for number in 1...40 {
                    large.attempt = AttemptID(rawValue: "large-\(number)")
                    try await journal.append(large)
                    largest = max(largest, try Data(contentsOf: file).count)
                    await journal.release(large.attempt)
                }
                // All of it would be 10 MB.
                #expect(largest < 7 << 20)
                let (other, _) = try open(path, name: "other")
                #expect(other.rawValue == "other")
            }
            let (id, journal) = try open(path)
            #expect(id.rawValue == "one")
            #expect(await journal.pending().first?.attempt.rawValue == "attempt-0")
            #expect(await journal.pending().count <= 2)
        }
    }

    /// A release needs no further entry to reach the file: a killed process does not replay what is stored.
    @Test func aReleaseIsWrittenByItself() async throws {
        try await withDirectory { path in
            let (_, journal) = try open(path)
            try await journal.append(try entry(1))
            let file = URL(filePath: "\(path)/one.journal")
            let before = try Data(contentsOf: file).count
            await journal.release(AttemptID(rawValue: "attempt-1"))
            let deadline = ContinuousClock.now + .seconds(60)
            while try Data(contentsOf: file).count == before, ContinuousClock.now < deadline { await Task.yield() }
            #expect(try Data(contentsOf: file).count > before)
        }
    }

    @Test func concurrentAppendsAreAllDurable() async throws {
        try await withDirectory { path in
            do {
                let (_, journal) = try open(path)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<500 { group.addTask { try await journal.append(try entry(number)) } }
                    try await group.waitForAll()
                }
            }
            let (_, journal) = try open(path)
            #expect(await journal.pending().count == 500)
        }
    }

    /// A crash in the middle of a write leaves part of a record: what was whole stays, and writing goes on.
    @Test func aCutTailIsCutOff() async throws {
        try await withDirectory { path in
            do {
                let (_, journal) = try open(path)
                for number in 0..<3 { try await journal.append(try entry(number)) }
            }
            let file = "\(path)/one.journal"
            let whole = try Data(contentsOf: URL(filePath: file))
            for cut in [1, 7, 9, 40] {
                try whole.prefix(whole.count - cut).write(to: URL(filePath: file))
                let (_, journal) = try open(path)
                #expect(await journal.pending().count == 2)
                try await journal.append(try entry(9))
            }
            try (whole + Data(repeating: 0xff, count: 100)).write(to: URL(filePath: file))
            let (_, journal) = try open(path)
            #expect(await journal.pending().count == 3)
        }
    }

    @Test func nothingReadableIsOnTheDisk() async throws {
        try await withDirectory { path in
            let (_, journal) = try open(path)
            try await journal.append(try entry(1))
            let bytes = try Data(contentsOf: URL(filePath: "\(path)/one.journal"))
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(bytes.count > 150)
            #expect(!text.contains("planted"))
            let mode = try FileManager.default.attributesOfItem(atPath: "\(path)/one.journal")[.posixPermissions]
            #expect(mode.map { "\($0)" } == "384")  // 0600
        }
    }

    @Test func aJournalInUseIsLeftAloneAndAnAbandonedOneIsTakenOver() async throws {
        try await withDirectory { path in
            let (first, journal) = try open(path, name: "first")
            try await journal.append(try entry(1))
            do {
                let (second, other) = try open(path, name: "second")
                #expect(first.rawValue == "first" && second.rawValue == "second")
                try await other.append(try entry(2))
                #expect(await other.pending().count == 1)
            }
            // The second one is gone; a third process takes over its name and what it had.
            let (third, heir) = try open(path, name: "third")
            #expect(third.rawValue == "second")
            #expect(await heir.pending() == [try entry(2)])
            #expect(await journal.pending() == [try entry(1)])
        }
    }

    @Test func severalAbandonedJournalsAreReadInOnce() async throws {
        try await withDirectory { path in
            do {
                let (_, one) = try open(path, name: "one")
                let (_, two) = try open(path, name: "two")
                let (_, three) = try open(path, name: "three")
                try await one.append(try entry(1))
                try await two.append(try entry(2))
                try await three.append(try entry(3))
            }
            let (_, heir) = try open(path, name: "heir")
            #expect(Set(await heir.pending().map(\.attempt.rawValue)) == ["attempt-1", "attempt-2", "attempt-3"])
            let names = try FileManager.default.contentsOfDirectory(atPath: path)
            #expect(names == ["one.journal"])
        }
    }

    @Test func aWrongKeyIsAnErrorAndTouchesNothing() async throws {
        try await withDirectory { path in
            do {
                let (_, journal) = try open(path)
                try await journal.append(try entry(1))
            }
            let wrong = try KeyRing(keys: [.generate()])
            #expect(throws: JournalError.self) { _ = try open(path, ring: wrong) }
            let (_, journal) = try open(path)
            #expect(await journal.pending().count == 1)
        }
    }

    @Test func anIdleJournalStaysSmall() async throws {
        try await withDirectory { path in
            let (_, journal) = try open(path)
            for number in 0..<3000 {
                var large = try entry(number)
                large.response.body = [UInt8](repeating: 0x20, count: 2000)
                try await journal.append(large)
                await journal.release(large.attempt)
            }
            await journal.close(removingIfEmpty: false)
            let bytes = try Data(contentsOf: URL(filePath: "\(path)/one.journal")).count
            #expect(bytes < 3 << 20)
        }
    }

    /// `/dev/full` takes no byte: the disk is full.
    @Test func aFullDiskIsSaidAndNothingIsSpent() async throws {
        try await withDirectory { path in
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: "\(path)/full.journal", withDestinationPath: "/dev/full")
            let (_, journal) = try open(path, name: "full")
            let error = await #expect(throws: JournalError.self) { try await journal.append(try entry(1)) }
            #expect(error?.description.contains("cannot be written") == true)
            #expect(await journal.pending().isEmpty)
        }
    }
}
