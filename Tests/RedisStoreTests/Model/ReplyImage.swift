import RefreshCore

/// A reply or a state taken apart: what has to be the same, and times and durations in milliseconds, which may differ
/// by as much as an operation takes.
struct ReplyImage: Equatable {
    var words: [String] = []
    var times: [Int64?] = []

    func differs(from other: ReplyImage, tolerance: Int64) -> Bool {
        guard words == other.words, times.count == other.times.count else { return true }
        return zip(times, other.times).contains { one, two in
            guard let one, let two else { return one != two }
            return abs(one - two) > tolerance
        }
    }

    mutating func add(_ word: String) { words.append(word) }
    mutating func add(_ time: WallTime?) { times.append(time?.milliseconds) }
    mutating func add(_ duration: Duration?) { times.append(duration?.wholeMilliseconds) }

    mutating func add(_ snapshot: AccountSnapshot?) {
        guard let snapshot else { return add("no account") }
        words += [
            snapshot.id.rawValue, snapshot.provider.rawValue, snapshot.name, "\(snapshot.enabled)",
            snapshot.status.rawValue, "\(snapshot.generation)", snapshot.accessToken?.reveal() ?? "-",
            snapshot.tokenType, "\(snapshot.failures)", snapshot.lastFault?.kind.rawValue ?? "-",
            snapshot.lastFault?.message ?? "-", snapshot.pool?.rawValue ?? "-", snapshot.tier?.rawValue ?? "-",
            snapshot.labels.description, snapshot.proxy.map { Self.words($0) } ?? "-", "\(snapshot.grantStage)",
        ]
        for time in [
            snapshot.expiresAt, snapshot.obtainedAt, snapshot.createdAt, snapshot.updatedAt, snapshot.dueAt,
            snapshot.nextAttemptAt, snapshot.authorizedAt, snapshot.grant?.since, snapshot.grant?.endsAt,
        ] { add(time) }
        guard let intent = snapshot.intent else { return add("no intent") }
        add(intent)
    }

    private static func words(_ proxy: ProxySetting) -> String {
        "\(proxy.url) \(proxy.server?.username?.reveal() ?? "-") \(proxy.server?.password?.reveal() ?? "-")"
    }

    mutating func add(_ intent: RefreshIntent) {
        words += [
            "\(intent.attempt)", "\(intent.generation)", intent.origin.rawValue, intent.state.rawValue,
            "\(intent.resends)",
        ]
        add(intent.at)
        add(intent.firstAt)
    }
}

extension ReplyImage {
    init(_ reply: BeginReply) {
        switch reply {
        case .granted(let claim):
            words = [
                claim.isRecovery ? "recovery" : "granted", "\(claim.attempt)", "\(claim.generation)",
                claim.followsFailures ? "after failures" : "after nothing",
            ]
            add(claim.refreshToken.reveal())
            add(claim.account)
        case .fresh(let snapshot):
            add("fresh")
            add(snapshot)
        case .blocked(let snapshot):
            add("blocked")
            add(snapshot)
        case .cooling(let snapshot, let until, let cause):
            words = ["cooling", cause.kind.rawValue, cause.message]
            add(until)
            add(snapshot)
        case .paused(let snapshot, let until, let cause):
            words = ["paused", cause.kind.rawValue, cause.message]
            add(until)
            add(snapshot)
        case .limited(let snapshot, let until, let isPromised):
            words = ["limited", isPromised ? "promised" : "not promised"]
            add(until)
            add(snapshot)
        case .overLimit: add("over the limit")
        case .held(let snapshot, let remaining):
            add("held")
            add(remaining)
            add(snapshot)
        case .pending(let snapshot, let intent, let age):
            add("pending")
            add(age)
            add(intent)
            add(snapshot)
        case .foreignIntent(let snapshot):
            add("foreign")
            add(snapshot)
        case .missing: add("missing")
        case .undurable: add("undurable")
        // The reasons are worded by the store.
        case .quarantined(let snapshot, let until, _):
            add("quarantined")
            add(until)
            add(snapshot)
        case .rolledBack(let snapshot):
            add("rolled back")
            add(snapshot)
        }
    }

    init(_ reply: SettleReply) {
        switch reply {
        case .settled(let snapshot):
            add("settled")
            add(snapshot)
        case .moved(let snapshot):
            add("moved")
            add(snapshot)
        case .missing: add("missing")
        }
    }

    init(_ batch: DueBatch) {
        // Those that are due at the same moment come in any order.
        words = batch.due.map { "\($0.account) of \($0.provider)" }.sorted()
        add(batch.nextDueIn)
    }

    init(_ bid: LeaseBid) {
        switch bid {
        case .acquired(let epoch): add("acquired \(epoch)")
        case .held(let remaining):
            add("held")
            add(remaining)
        }
    }
}
