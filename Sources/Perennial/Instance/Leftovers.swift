import Logging
import NIOConcurrencyHelpers
import RedisStore
import RefreshCore
import ServiceLifecycle

/// Brings what the journal holds, and settlements that Redis did not take, into the store: at start, whenever Redis is
/// back, and again as long as something is left. Costs no command while there is nothing.
final class Leftovers: Service {
    private let coordinator: RefreshCoordinator
    private let link: RedisLink
    private let time: any TimeSource
    private let logger: Logger
    private let wakeup = Wakeup()
    /// The store may have failed over since it was last looked at.
    private let isFailoverPossible = NIOLockedValueBox(true)
    private let failover: FailoverWatch

    init(coordinator: RefreshCoordinator, link: RedisLink, time: any TimeSource, logger: Logger) {
        self.coordinator = coordinator
        self.link = link
        self.failover = FailoverWatch(link: link)
        self.time = time
        self.logger = logger
    }

    func storeIsBack() {
        isFailoverPossible.withLockedValue { $0 = true }
        wakeup.fire()
    }

    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            var pause = Self.shortestPause
            while !Task.isCancelled {
                var left = await recover()
                if link.gate.reason == nil, isFailoverPossible.withLockedValue({ $0 }) {
                    await restore()
                    // What had to wait for the generations before it can follow them now.
                    left = await recover()
                }
                await coordinator.deck.journal.releaseExpired()
                // While the store is away a try costs nothing, and each second counts when it is back: others may take
                // the silence for a lost answer. What cannot be read costs no command, and must not slow down the rest.
                pause = left > 0 ? min(pause * 2, Self.longestPause) : Self.shortestPause
                await wakeup.wait(until: time.monotonic() + pause, time: time)
            }
        }
    }

    private static let shortestPause = Duration.milliseconds(500)
    private static let longestPause = Duration.seconds(2)

    /// Brings what is left into the store. Comes before ``restore()``, which may have much to offer: others wait for what
    /// they do not know yet, and at last send the refresh token again.
    ///
    /// - Returns: how many answers are still left.
    private func recover() async -> Int {
        guard link.gate.reason == nil, await coordinator.hasLeftovers() else { return 0 }
        let report = await coordinator.recoverLeftovers()
        if report.committed + report.orphaned > 0 {
            logger.notice(
                "journal: \(report.committed) stored, \(report.orphaned) kept as orphans, \(report.waiting + report.unusable) left"
            )
        }
        return report.waiting + report.unusable
    }

    /// Offers Redis what it had already, in case it has lost that.
    private func restore() async {
        isFailoverPossible.withLockedValue { $0 = false }
        do {
            let age = try await failover.look()
            if let age, age < .seconds(10) {
                logger.warning(
                    "Redis has failed over or been restarted: what this instance stored last is offered again, and no refresh token is spent until all had the time for that"
                )
            }
            let report = await coordinator.restoreStored()
            if report.committed > 0 { logger.notice("Redis had lost \(report.committed) tokens: they are back") }
            if report.waiting > 0 { isFailoverPossible.withLockedValue { $0 = true } }
        } catch {
            // Nothing is sent meanwhile either: BEGIN looks at the server by itself.
            isFailoverPossible.withLockedValue { $0 = true }
            logger.debug("Redis could not be asked about a failover: \(error.message)")
        }
    }
}
