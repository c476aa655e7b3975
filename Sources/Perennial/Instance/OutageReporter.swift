import Logging
import RedisStore
import RefreshCore
import ServiceLifecycle

/// Tells the fleet of an outage of Redis, once it is over. Sends nothing as long as Redis works.
struct OutageReporter: Service {
    let link: RedisLink
    let instance: InstanceID
    let logger: Logger

    /// A connection that breaks and stands again at once is no outage.
    private static let shortest = Duration.seconds(2)
    private static let firstPause = Duration.seconds(1)
    private static let quietPause = Duration.seconds(86_400)
    private var longestPause: Duration { .seconds(link.isFrugal ? 60 : 5) }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var pause = Self.firstPause
            while !Task.isCancelled {
                let isAway = link.outages.current != nil
                await link.outages.wait(
                    until: link.clock.monotonic() + (isAway ? pause : Self.quietPause), time: link.clock)
                guard isAway, let outage = link.outages.current else {
                    pause = Self.firstPause
                    continue
                }
                pause = await isOver(outage) ? Self.firstPause : min(pause * 2, longestPause)
            }
        }
    }

    private func isOver(_ outage: OutageWatch.Outage) async -> Bool {
        for partition in outage.partitions.sorted() {
            guard await link.takesWrites(partition) else { return false }
        }
        let length = link.clock.monotonic() - outage.since
        if length >= Self.shortest {
            do {
                try await RedisEventLog(link: link).storeWasAway(
                    for: length, reason: outage.reason, instance: instance)
            } catch {
                return false
            }
            logger.notice("Redis is back after \(Int(length.inSeconds.rounded())) s")
        }
        link.outages.isOver()
        return true
    }
}
