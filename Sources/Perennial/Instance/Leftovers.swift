import Logging
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

    init(coordinator: RefreshCoordinator, link: RedisLink, time: any TimeSource, logger: Logger) {
        self.coordinator = coordinator
        self.link = link
        self.time = time
        self.logger = logger
    }

    func storeIsBack() { wakeup.fire() }

    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            var pause = Duration.milliseconds(500)
            while !Task.isCancelled {
                if link.gate.reason == nil, await coordinator.hasLeftovers() {
                    let report = await coordinator.recoverLeftovers()
                    if report.committed + report.orphaned > 0 {
                        logger.notice(
                            "journal: \(report.committed) stored, \(report.orphaned) kept as orphans, \(report.waiting + report.unusable) left"
                        )
                    }
                    pause =
                        report.waiting > 0 || report.unusable > 0 ? min(pause * 2, .seconds(30)) : .milliseconds(500)
                }
                await wakeup.wait(until: time.monotonic() + pause, time: time)
            }
        }
    }
}
