import RefreshCore
import ServiceLifecycle

/// Finishes what acquisitions have left on this machine's disk, whoever leads: at start, whenever Redis is back, and again
/// as long as something is left. Costs no command while there is nothing.
struct AcquisitionFinisher: Service {
    let keeper: AcquisitionKeeper
    let settings: [PoolName: AcquisitionLimits]
    let time: any TimeSource
    private let wakeup = Wakeup()

    init(keeper: AcquisitionKeeper, pools: [PoolSettings], time: any TimeSource) {
        self.keeper = keeper
        settings = Dictionary(pools.compactMap { pool in pool.acquisition.map { (pool.name, $0) } }) { first, _ in first
        }
        self.time = time
    }

    private static let pause = Duration.seconds(30)

    func storeIsBack() { wakeup.fire() }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await keeper.finishLeft(settings)
                await wakeup.wait(until: time.monotonic() + Self.pause, time: time)
            }
        }
    }
}
