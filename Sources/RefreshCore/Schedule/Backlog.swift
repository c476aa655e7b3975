/// Due accounts that were taken: waiting to be started, and under way.
package struct Backlog: Sendable {
    private var waiting: [ProviderName: [AccountID]] = [:]
    private var underWay: [ProviderName: Int] = [:]
    private enum Stage { case waiting, running, runningAndTakenAgain }
    private var stages: [AccountID: Stage] = [:]
    private var total = 0
    /// When to look at the schedule of each provider; at once where there is none.
    private var nextLooks: [ProviderName: MonotonicTime] = [:]

    /// When the next refresh of a provider with a rate limit may start.
    private var nextStarts: [ProviderName: MonotonicTime] = [:]

    /// Providers that are paused, or whose rate limit is used up, until when that is so.
    private var heldUntil: [ProviderName: MonotonicTime] = [:]

    /// Whether the schedule goes on to show accounts that were taken, so that they have to be known here.
    private let scheduleKeepsTaken: Bool
    /// Accounts that the schedule may still show as due although nothing is to be done now, by when that is over.
    private var resting: [AccountID: MonotonicTime] = [:]

    package init(scheduleKeepsTaken: Bool = false) {
        self.scheduleKeepsTaken = scheduleKeepsTaken
    }

    /// Adds what a schedule that keeps taken accounts shows as due, except for what is in work or resting.
    ///
    /// - Returns: when the first of the resting ones may be taken; nil where none rests.
    package mutating func add(shown accounts: [DueAccount], now: MonotonicTime) -> MonotonicTime? {
        var first: MonotonicTime?
        resting = resting.filter { $0.value > now }
        for account in accounts where stages[account.account] == nil {
            if let until = resting[account.account] {
                first = min(first ?? until, until)
            } else {
                add(account)
            }
        }
        return first
    }

    /// Until `time` the account is not taken again, whatever the schedule shows.
    package mutating func rest(_ account: AccountID, until time: MonotonicTime) { resting[account] = time }

    package mutating func add(_ account: DueAccount) {
        switch stages[account.account] {
        case nil:
            stages[account.account] = .waiting
            waiting[account.provider, default: []].append(account.account)
        case .waiting:
            // Its hold ran out while it waited here: once is enough.
            break
        case .running, .runningAndTakenAgain:
            // Due again, or its hold ran out: the look that took it must not be lost, or it stays away for the hold.
            stages[account.account] = .runningAndTakenAgain
        }
    }

    package mutating func finished(_ account: DueAccount, lookAgainAt: MonotonicTime?) {
        if let look = nextLooks[account.provider], let lookAgainAt, lookAgainAt < look {
            nextLooks[account.provider] = lookAgainAt
        }
        let isDueAgain = stages.removeValue(forKey: account.account) == .runningAndTakenAgain
        if isDueAgain { add(account) }
        underWay[account.provider, default: 1] -= 1
        total -= 1
    }

    /// Look at every provider's schedule at `deadline` at the latest.
    package mutating func lookBy(_ deadline: MonotonicTime) {
        for (provider, look) in nextLooks where look > deadline { nextLooks[provider] = deadline }
    }

    package mutating func looked(at providers: some Sequence<ProviderName>, nextLook: MonotonicTime) {
        for provider in providers { nextLooks[provider] = nextLook }
    }

    /// How many to take of each provider: nothing until the waiting ones have run down to half of what may run at
    /// once, so that a look at the schedule is shared by many refreshes.
    package func wanted(_ policies: any PolicySource, limit: Int, now: MonotonicTime) -> [ProviderName: Int] {
        var wanted: [ProviderName: Int] = [:]
        for (provider, room) in rooms(policies, limit: limit)
        where nextLooks[provider].map({ $0 <= now }) ?? true && !isHeld(provider, now) {
            // What is known already stands before the rest in such a schedule.
            let known = scheduleKeepsTaken ? (waiting[provider]?.count ?? 0) + (underWay[provider] ?? 0) : 0
            wanted[provider] = room + known + resting.count
        }
        return wanted
    }

    /// The next look at any provider that has room; nil when none has.
    package func nextLook(_ policies: any PolicySource, limit: Int) -> MonotonicTime? {
        rooms(policies, limit: limit).map { room in
            let look = nextLooks[room.provider] ?? MonotonicTime(nanoseconds: .min)
            return max(look, heldUntil[room.provider] ?? look)
        }.min()
    }

    /// Nothing of the provider is taken or started before `time`: it would be sent away as this one was.
    package mutating func holdBack(_ provider: ProviderName, until time: MonotonicTime) {
        heldUntil[provider] = max(heldUntil[provider] ?? time, time)
    }

    /// Something has changed: what was held back may go.
    package mutating func letGo() { heldUntil.removeAll() }

    private func isHeld(_ provider: ProviderName, _ now: MonotonicTime) -> Bool {
        heldUntil[provider].map { $0 > now } ?? false
    }

    private func rooms(_ policies: any PolicySource, limit: Int) -> [(provider: ProviderName, room: Int)] {
        policies.providers.compactMap { provider in
            guard let policy = policies.policy(for: provider) else { return nil }
            let most = max(1, min(policy.maxConcurrentExchanges, limit))
            let queued = waiting[provider]?.count ?? 0
            return queued <= most / 2 ? (provider, 2 * most - queued) : nil
        }
    }

    /// The accounts that may start now.
    ///
    /// Those of a provider with a rate limit start one by one at its even pace, and leave its burst to callers who wait:
    /// a start that finds no room would cost a round trip and come to nothing.
    package mutating func startable(_ policies: any PolicySource, limit: Int, now: MonotonicTime) -> [DueAccount] {
        var started: [DueAccount] = []
        for (provider, ids) in waiting where !ids.isEmpty && !isHeld(provider, now) {
            let policy = policies.policy(for: provider)
            var room = freeRoom(provider, policy, limit: limit)
            guard room > 0 else { continue }
            if let rate = policy?.rateLimit {
                room = paced(provider, rate, room: min(room, ids.count), now: now)
                guard room > 0 else { continue }
            }
            let batch = ids.prefix(room)
            waiting[provider] = Array(ids.dropFirst(batch.count))
            underWay[provider, default: 0] += batch.count
            total += batch.count
            for account in batch { stages[account] = .running }
            started += batch.map { DueAccount(account: $0, provider: provider) }
        }
        return started
    }

    /// More refreshes than exchanges: while answers are being stored the next requests are under way. The limiter keeps
    /// the exchanges within their bound.
    private func freeRoom(_ provider: ProviderName, _ policy: RefreshPolicy?, limit: Int) -> Int {
        min(2 * (policy?.maxConcurrentExchanges ?? 1) - (underWay[provider] ?? 0), limit - total)
    }

    /// How many of `room` may start by the provider's pace.
    private mutating func paced(_ provider: ProviderName, _ rate: RateLimit, room: Int, now: MonotonicTime) -> Int {
        // A little slower than the store allows, which sees the starts with the delays of the network.
        let interval = Duration.microseconds(rate.intervalMicroseconds * 51 / 50)
        var next = max(nextStarts[provider] ?? now, now + (.zero - interval))
        var started = 0
        while started < room, next <= now {
            started += 1
            next = next + interval
        }
        nextStarts[provider] = next
        return started
    }

    /// When the next waiting account may start that only waits for its provider's pace, or for the end of a pause; nil
    /// where none does.
    package func nextStart(_ policies: any PolicySource, limit: Int) -> MonotonicTime? {
        waiting.compactMap { provider, ids in
            // Where all places are taken it is the end of a refresh that makes room.
            guard !ids.isEmpty, freeRoom(provider, policies.policy(for: provider), limit: limit) > 0 else { return nil }
            guard let next = nextStarts[provider], let held = heldUntil[provider] else {
                return nextStarts[provider] ?? heldUntil[provider]
            }
            return max(next, held)
        }.min()
    }

    /// Until when the whole provider is to be left alone after this; nil where it is not.
    package static func holdBack(after result: RefreshResult, now: MonotonicTime, wall: WallTime) -> MonotonicTime? {
        guard case .failed(let failure, _) = result, failure.isHeldBack, let retryAt = failure.retryAt else {
            return nil
        }
        return now + max(retryAt - wall, .zero)
    }

    /// When an account that was taken can be due again: no message has to tell of this instance's own work.
    package static func nextLook(
        after result: RefreshResult, hold: Duration, now: MonotonicTime, wall: WallTime
    ) -> MonotonicTime? {
        var due = result.snapshot?.dueAt
        if case .failed(let failure, let snapshot) = result {
            if snapshot != nil, due == nil { return nil }
            due = failure.retryAt ?? due
        }
        // Neither refreshed nor put off: the schedule has it again when its hold ends.
        guard let due else { return now + hold }
        return now + max(due - wall, .zero)
    }
}
