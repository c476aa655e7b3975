/// What the proactive scan did since the last summary line.
public struct RefreshTally: Sendable, Hashable {
    public struct Counts: Sendable, Hashable {
        public var refreshed: Set<AccountID> = []
        public var failed: Set<AccountID> = []
    }

    private var counts: [ProviderName: Counts] = [:]
    private var busy: Duration = .zero
    private var busySince: MonotonicTime?
    private var underWay = 0

    public init() {}

    public mutating func began(at now: MonotonicTime) {
        if underWay == 0 { busySince = now }
        underWay += 1
    }

    public mutating func ended(_ account: DueAccount, _ result: RefreshResult, at now: MonotonicTime) {
        underWay -= 1
        if underWay == 0, let since = busySince {
            busy += now - since
            busySince = nil
        }
        // In place: taking the sets out and putting them back would copy all ids at every refresh.
        Self.note(account.account, result, in: &counts[account.provider, default: Counts()])
    }

    private static func note(_ account: AccountID, _ result: RefreshResult, in own: inout Counts) {
        switch result {
        case .refreshed:
            own.refreshed.insert(account)
            own.failed.remove(account)
        case .newer: break
        case .failed(let failure, _):
            switch failure.code {
            case .disabled, .accountNotFound, .coolingDown, .shuttingDown: break
            case _ where failure.isHeldBack: break
            default: if !own.refreshed.contains(account) { own.failed.insert(account) }
            }
        }
    }

    /// The lines of the summary, and a fresh start.
    ///
    /// - Parameter scheduled: how many accounts each provider has in the schedule now.
    public mutating func summary(scheduled: [ProviderName: Int], at now: MonotonicTime) -> [String] {
        if let since = busySince {
            busy += now - since
            busySince = now
        }
        var lines: [String] = []
        var total = (refreshed: 0, skipped: 0, failed: 0, checked: 0)
        for provider in Set(scheduled.keys).union(counts.keys).sorted() {
            let own = counts[provider] ?? Counts()
            let (refreshed, failed) = (own.refreshed.count, own.failed.count)
            // An account that was refused has left the schedule, but was checked all the same.
            let checked = max(scheduled[provider] ?? 0, refreshed + failed)
            let skipped = checked - refreshed - failed
            if checked > 0 {
                lines.append(
                    "  \(provider): \(refreshed) refreshed, \(skipped) skipped, \(failed) failed out of \(checked) checked"
                )
            }
            total = (
                total.refreshed + refreshed, total.skipped + skipped, total.failed + failed, total.checked + checked
            )
        }
        let first =
            "Token refresh completed: \(total.refreshed) refreshed, \(total.skipped) skipped, \(total.failed) failed "
            + "out of \(total.checked) checked (\(busy.wholeMilliseconds) ms)"
        counts = [:]
        busy = .zero
        return [first] + lines
    }
}
