import Logging
import NIOConcurrencyHelpers

/// A stretch of time during which this instance holds the scan lease.
public struct Reign: Sendable {
    public let epoch: Int64
    private let isHeld: @Sendable () -> Bool

    init(epoch: Int64, isHeld: @escaping @Sendable () -> Bool) {
        self.epoch = epoch
        self.isHeld = isHeld
    }

    /// False from the moment the local monotonic clock says that the lease may have ended.
    public var isCurrent: Bool { isHeld() }
}

/// Stands for election for as long as it runs, and does the leader's work while it holds the lease.
public final class LeaseKeeper: Sendable {
    private let store: any LeaseStore
    private let instance: InstanceID
    private let time: any TimeSource
    private let logger: Logger
    private let machine: NIOLockedValueBox<LeaseMachine>
    private let wakeup = Wakeup()

    public init(
        store: any LeaseStore, instance: InstanceID, ttl: Duration, renewAfter: Duration? = nil, time: any TimeSource,
        logger: Logger, seed: UInt64
    ) {
        self.store = store
        self.instance = instance
        self.time = time
        self.logger = logger
        self.machine = NIOLockedValueBox(
            LeaseMachine(ttl: ttl, renewAfter: renewAfter, now: time.monotonic(), seed: seed))
    }

    public var isLeader: Bool { machine.withLockedValue { $0.isLeader(at: time.monotonic()) } }
    public var epoch: Int64? { machine.withLockedValue { $0.isLeader(at: time.monotonic()) ? $0.epoch : nil } }

    /// The leader has said that it let go.
    public func leaderReleased() {
        machine.withLockedValue { $0.leaderReleased(now: time.monotonic()) }
        wakeup.fire()
    }

    /// Runs until cancelled; then the lease is freed before this returns, so that a follower takes over at once.
    public func run(_ work: @escaping @Sendable (Reign) async -> Void) async {
        var reign: Task<Void, Never>?
        while !Task.isCancelled {
            let (step, change) = machine.withLockedValue { $0.next(at: time.monotonic()) }
            apply(change, &reign, work)
            switch step {
            case .sleep(let until):
                await wakeup.wait(until: until, time: time)
            case .bid:
                let sentAt = time.monotonic()
                do {
                    let bid = try await store.acquire(instance, ttl: lease)
                    let now = time.monotonic()
                    apply(machine.withLockedValue { $0.bidAnswered(bid, sentAt: sentAt, now: now) }, &reign, work)
                } catch {
                    machine.withLockedValue { $0.failed(now: time.monotonic()) }
                }
            case .renew(let epoch):
                let sentAt = time.monotonic()
                do {
                    let isHeld = try await store.renew(instance, epoch: epoch, ttl: lease)
                    let now = time.monotonic()
                    apply(machine.withLockedValue { $0.renewAnswered(isHeld, sentAt: sentAt, now: now) }, &reign, work)
                } catch {
                    machine.withLockedValue { $0.failed(now: time.monotonic()) }
                }
            }
        }
        reign?.cancel()
        if let epoch = machine.withLockedValue({ $0.resign(now: time.monotonic()) }) {
            // In a task of its own: this one is cancelled, and the release has to go out all the same.
            let release = Task { [store, instance] in try? await store.release(instance, epoch: epoch) }
            await release.value
            logger.info("Leader lease released (epoch \(epoch))")
        }
        await reign?.value
    }

    private var lease: Duration { machine.withLockedValue { $0.ttl } }

    private func apply(
        _ change: LeaseMachine.Change, _ reign: inout Task<Void, Never>?,
        _ work: @escaping @Sendable (Reign) async -> Void
    ) {
        switch change {
        case .none: return
        case .ended:
            logger.notice("No longer the leader")
            reign?.cancel()
            reign = nil
        case .began(let epoch):
            logger.notice("Now the leader (epoch \(epoch))")
            reign?.cancel()
            let current = Reign(epoch: epoch) { [self] in self.epoch == epoch }
            reign = Task { await work(current) }
        }
    }
}
