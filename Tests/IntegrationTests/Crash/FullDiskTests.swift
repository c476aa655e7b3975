import MockProvider
import PerennialServers
import Testing

/// The disk of the journal is full.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct FullDiskTests {
    /// The first answer finds out. It is stored all the same, the alarm is raised, and no further token is risked.
    @Test func nothingMoreIsSpentAndItIsSaidAloud() async throws {
        try await CrashSite.run { site in
            let (first, second) = (try await site.add(isExpired: true), try await site.add(isExpired: true))
            let instance = site.instances[0]
            await instance.kill()
            let journal = "\(instance.directory)/journal"
            let name = try #require(try FileNames.list(journal).first { $0.hasSuffix(".journal") })
            // What writes there is told "no space left on device", by the system itself.
            try ChildProcess.run("ln", ["-sf", "/dev/full", "\(journal)/\(name)"])
            try await instance.start()
            try await site.waitUntilReady(instance)

            #expect(await site.read(first).generation == 2)
            #expect(instance.log.contains("critical"))
            #expect(instance.log.contains("No space left on device"))
            let refused = await site.read(second)
            #expect(refused.status == 503)
            // It has been tried again with nothing at stake: a sync, which that device does not take either.
            #expect(refused.detail?.contains("journal") == true, "\(refused.detail ?? "no detail")")
            #expect(try await site.mock.totals().tokenRequests == 1)

            await instance.kill()
            try ChildProcess.run("rm", ["\(journal)/\(name)"])
            try await instance.start()
            try await site.waitUntilReady(instance)
            #expect(await site.read(second).generation == 2)
            #expect(try await site.mock.totals().duplicateSpends == 0)
        }
    }
}
