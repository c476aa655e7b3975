import Logging
import NIOConcurrencyHelpers
import Synchronization

/// The leader's work: refreshes accounts when they are due, and sleeps until the next one is.
public final class ProactiveScheduler: Sendable {
    public struct Configuration: Sendable {
        /// Upper bound of a sleep, and the beat of the summary line.
        public var interval: Duration
        /// Shown at start; each provider may have its own.
        public var window: Duration
        /// Proactive refreshes under way at once, over all providers.
        public var maxConcurrent: Int
        /// How long to sleep at most while no message would tell of a new account.
        public var blindSleep: Duration
        /// How far ahead an account is moved that is being worked on.
        public var hold: Duration
        /// Whether the store leaves due accounts where they are in its schedule until they are refreshed or put off,
        /// which saves commands: what is under way is known here.
        public var scheduleKeepsTaken: Bool

        public init(
            interval: Duration = .seconds(900), window: Duration = .seconds(300), maxConcurrent: Int = 128,
            blindSleep: Duration = .seconds(1), hold: Duration = .seconds(35),
            scheduleKeepsTaken: Bool = false
        ) {
            self.interval = interval
            self.window = window
            self.maxConcurrent = maxConcurrent
            self.blindSleep = blindSleep
            self.hold = hold
            self.scheduleKeepsTaken = scheduleKeepsTaken
        }
    }

    private let store: any ScheduleStore
    private let coordinator: RefreshCoordinator
    private let policies: any PolicySource
    private let time: any TimeSource
    private let logger: Logger
    private let configuration: Configuration
    private let wakeup = Wakeup()
    private let isSubscribed: @Sendable () -> Bool
    private let ticks = Atomic(0)
    private let poked = Atomic(false)

    public init(
        store: any ScheduleStore, coordinator: RefreshCoordinator, policies: any PolicySource, time: any TimeSource,
        configuration: Configuration, logger: Logger, isSubscribed: @escaping @Sendable () -> Bool
    ) {
        self.store = store
        self.coordinator = coordinator
        self.policies = policies
        self.time = time
        self.configuration = configuration
        self.logger = logger
        self.isSubscribed = isSubscribed
    }

    /// Looks at the schedule so far, for tests and `GET /v1/instances`.
    public var tickCount: Int { ticks.load(ordering: .relaxed) }

    /// An account was added or changed: something may be due earlier than was known.
    public func scheduleChanged() {
        poked.store(true, ordering: .relaxed)
        wakeup.fire()
    }

    /// The line that says that proactive refreshing is on; logged once, at start.
    public func announce() {
        let interval = Self.minutes(configuration.interval)
        let window = Self.minutes(configuration.window)
        logger.info("Token refresh scheduler started (interval: \(interval), window: \(window))")
    }

    static func minutes(_ duration: Duration) -> String {
        let seconds = Int(duration.inSeconds)
        if seconds >= 60, seconds % 60 == 0 { return seconds == 60 ? "1 minute" : "\(seconds / 60) minutes" }
        return seconds == 1 ? "1 second" : "\(seconds) seconds"
    }

    /// Works until the reign ends or the task is cancelled; refreshes under way then land by themselves.
    public func run(_ reign: Reign) async {
        var backlog = Backlog(scheduleKeepsTaken: configuration.scheduleKeepsTaken)
        var hasReconciled = false
        var summaryAt = time.monotonic() + configuration.interval
        let progress = ScanProgress()

        await withDiscardingTaskGroup { group in
            while !Task.isCancelled, reign.isCurrent {
                if !hasReconciled { hasReconciled = await reconcile() }
                for end in progress.takeFinished() {
                    finished(end.account, lookAgainAt: end.lookAgainAt, in: &backlog)
                    if let held = end.heldUntil { backlog.holdBack(end.account.provider, until: held) }
                }
                if poked.exchange(false, ordering: .relaxed) {
                    backlog.letGo()
                    backlog.lookBy(time.monotonic())
                }
                await refill(&backlog)
                for account in backlog.startable(
                    policies, limit: configuration.maxConcurrent, now: time.monotonic())
                {
                    progress.began(at: time.monotonic())
                    group.addTask { [self] in
                        let (result, _) = await coordinator.refresh(
                            account.account, provider: account.provider, demand: .whenDue)
                        progress.ended(
                            account, result, at: time.monotonic(), lookAgainAt: nextLook(after: result),
                            heldUntil: Backlog.holdBack(after: result, now: time.monotonic(), wall: time.wall()))
                        wakeup.fire()
                    }
                }
                if time.monotonic() >= summaryAt {
                    await logSummary(progress)
                    summaryAt = time.monotonic() + configuration.interval
                }
                let blind = time.monotonic() + (isSubscribed() ? configuration.interval : configuration.blindSleep)
                if !isSubscribed() { backlog.lookBy(blind) }
                // Where enough is queued, only a finished refresh can change anything, and that fires the wakeup.
                let look = backlog.nextLook(policies, limit: configuration.maxConcurrent) ?? summaryAt
                let next = min(look, backlog.nextStart(policies, limit: configuration.maxConcurrent) ?? look)
                await wakeup.wait(until: max(min(next, blind, summaryAt), time.monotonic()), time: time)
            }
            group.cancelAll()
        }
    }

    private func reconcile() async -> Bool {
        do {
            let repaired = try await store.reconcile()
            if repaired > 0 { logger.notice("Schedule reconciled: \(repaired) accounts put back") }
            return true
        } catch {
            logger.warning("Schedule not reconciled: \(error.message)")
            return false
        }
    }

    /// Takes due accounts of the providers whose backlog has run low and whose next look has come.
    private func refill(_ backlog: inout Backlog) async {
        let now = time.monotonic()
        let limits = backlog.wanted(policies, limit: configuration.maxConcurrent, now: now)
        guard !limits.isEmpty else { return }
        ticks.add(1, ordering: .relaxed)
        do {
            let batch = try await store.takeDue(limits: limits, hold: configuration.hold)
            var next = now + (batch.nextDueIn.map(slackened) ?? configuration.interval)
            if configuration.scheduleKeepsTaken {
                if let first = backlog.add(shown: batch.due, now: now) { next = min(next, first) }
            } else {
                for account in batch.due { backlog.add(account) }
            }
            backlog.looked(at: limits.keys, nextLook: next)
        } catch {
            logger.warning("Schedule not read: \(error.message)")
            backlog.looked(at: limits.keys, nextLook: now + .seconds(1))
        }
    }

    /// How much later than needed a look is made where looks are paid for: one that comes a moment too early, for the
    /// clocks agree to milliseconds only, finds nothing and has to be repeated.
    private static let slack = Duration.milliseconds(100)

    private func slackened(_ wait: Duration) -> Duration {
        configuration.scheduleKeepsTaken && wait > .zero ? wait + Self.slack : wait
    }

    private func finished(_ account: DueAccount, lookAgainAt: MonotonicTime?, in backlog: inout Backlog) {
        guard configuration.scheduleKeepsTaken else {
            return backlog.finished(account, lookAgainAt: lookAgainAt)
        }
        // The schedule may not have been put right: such an account is not to be taken again at once, nor forgotten.
        let now = time.monotonic()
        let again = lookAgainAt.map { $0 + Self.slack } ?? now + configuration.hold
        backlog.rest(account.account, until: min(max(again, now + .seconds(1)), now + configuration.hold))
        backlog.finished(account, lookAgainAt: again)
    }

    private func nextLook(after result: RefreshResult) -> MonotonicTime? {
        Backlog.nextLook(after: result, hold: configuration.hold, now: time.monotonic(), wall: time.wall())
    }

    private func logSummary(_ progress: ScanProgress) async {
        let scheduled = (try? await store.scheduledCounts(policies.providers)) ?? [:]
        for line in progress.summary(scheduled: scheduled, at: time.monotonic()) { logger.info("\(line)") }
    }
}

/// What the refreshes that a scan has started report back to it.
private final class ScanProgress: Sendable {
    struct End {
        var account: DueAccount
        var lookAgainAt: MonotonicTime?
        var heldUntil: MonotonicTime?
    }

    private struct State {
        var tally = RefreshTally()
        var finished: [End] = []
    }

    private let state = NIOLockedValueBox(State())

    func began(at now: MonotonicTime) {
        state.withLockedValue { $0.tally.began(at: now) }
    }

    func ended(
        _ account: DueAccount, _ result: RefreshResult, at now: MonotonicTime, lookAgainAt: MonotonicTime?,
        heldUntil: MonotonicTime?
    ) {
        state.withLockedValue {
            $0.tally.ended(account, result, at: now)
            $0.finished.append(End(account: account, lookAgainAt: lookAgainAt, heldUntil: heldUntil))
        }
    }

    func takeFinished() -> [End] {
        state.withLockedValue { state in
            defer { state.finished.removeAll(keepingCapacity: true) }
            return state.finished
        }
    }

    func summary(scheduled: [ProviderName: Int], at now: MonotonicTime) -> [String] {
        state.withLockedValue { $0.tally.summary(scheduled: scheduled, at: now) }
    }
}
