import Journal
import Logging
import PerennialServers
import RedisStore
import RefreshCore
import Sealing

/// What lies in Redis and on disk when all is over.
struct Leftovers: Sendable {
    /// Keys that hold orphans.
    var orphans: [String] = []
    /// Journal entries that were not known to be stored, by instance.
    var journal: [Int: [JournalEntry]] = [:]

    var journalEntries: Int { journal.values.reduce(0) { $0 + $1.count } }

    /// To be called when the instances have ended: their journals are locked while they run.
    static func find(_ site: ChaosSite) async throws -> Leftovers {
        var leftovers = Leftovers()
        leftovers.orphans = try await site.redis.keys(like: "\(Keys().prefix):*:orphans:*").sorted()

        let ring = try KeyRing(file: site.keyFile)
        let quiet = Logger(label: "chaos", factory: { _ in SwiftLogNoOpLogHandler() })
        for instance in site.instances {
            let directory = JournalDirectory(
                path: "\(instance.stateDirectory)/journal", ring: ring, logger: quiet)
            let (_, journal) = try directory.open(fallbackName: "chaos")
            leftovers.journal[instance.number] = await journal.pending()
            await journal.close(removingIfEmpty: false)
        }
        return leftovers
    }
}
