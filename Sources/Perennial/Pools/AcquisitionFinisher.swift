import RefreshCore
import ServiceLifecycle

/// Finishes what acquisitions have left on this machine's disk, whoever leads: at start, whenever Redis is back, and again
/// as long as something is left. Costs no command while there is nothing.
struct AcquisitionFinisher: Service {
    let keeper: AcquisitionKeeper
    let settings: [PoolName: AcquisitionLimits]
    let time: any TimeSource
    private let wakeup = Wakeup()

    /// Between two tries; the first come sooner.
    private static let longestPause = Duration.seconds(30)
    private static let firstPause = Duration.seconds(1)

    func storeIsBack() { wakeup.fire() }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var pause = Self.firstPause
            while !Task.isCancelled {
                let isStored = await keeper.finishLeft(settings)
                await wakeup.wait(until: time.monotonic() + (isStored ? Self.longestPause : pause), time: time)
                pause = isStored ? Self.firstPause : min(pause * 2, Self.longestPause)
            }
        }
    }
}
