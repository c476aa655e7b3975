import NIOConcurrencyHelpers
import RefreshCore

/// Accounts in memory: store and directory in one, with faults on demand.
final class FakeFleet: AccountStore, AccountDirectory {
    struct Record {
        var snapshot: AccountSnapshot
        var refreshToken: Secret
    }

    struct State {
        var records: [AccountID: Record] = [:]
        var fault: StoreError?
        var begin: (@Sendable (AccountSnapshot) -> BeginReply?)?
        var begins: [BeginRequest] = []
        var orphans: [AccountID: [Orphan]] = [:]
        var obstacle: RestoreReply.Obstacle?
        var reads = 0
        /// Puts are answered with this unless they are forced.
        var putReply: PutReply?
        var puts: [AccountPut] = []
    }

    let time: ManualTime
    let state = NIOLockedValueBox(State())

    init(time: ManualTime) {
        self.time = time
    }

    func add(_ snapshot: AccountSnapshot) {
        state.withLockedValue { $0.records[snapshot.id] = Record(snapshot: snapshot, refreshToken: Secret("rt-0")) }
    }

    func refreshToken(of id: String) -> Secret? {
        state.withLockedValue { state in (try? AccountID(id)).flatMap { state.records[$0]?.refreshToken } }
    }

    func snapshot(_ id: AccountID) -> AccountSnapshot? { state.withLockedValue { $0.records[id]?.snapshot } }
    func fail(_ error: StoreError?) { state.withLockedValue { $0.fault = error } }
    func answerBegin(_ reply: (@Sendable (AccountSnapshot) -> BeginReply?)?) {
        state.withLockedValue { $0.begin = reply }
    }
    func addOrphan(_ orphan: Orphan, of id: AccountID) {
        state.withLockedValue { $0.orphans[id, default: []].append(orphan) }
    }
    /// What a restore without force is told.
    func obstruct(_ obstacle: RestoreReply.Obstacle?) { state.withLockedValue { $0.obstacle = obstacle } }
    var begins: [BeginRequest] { state.withLockedValue { $0.begins } }
    var reads: Int { state.withLockedValue { $0.reads } }

    func locked<Value>(_ body: (inout State) throws(StoreError) -> Value) throws(StoreError) -> Value {
        let result = state.withLockedValue { state in
            Result { () throws(StoreError) in
                if let fault = state.fault { throw fault }
                return try body(&state)
            }
        }
        return try result.get()
    }

    func begin(_ request: BeginRequest) async throws(StoreError) -> BeginReply {
        try locked { state throws(StoreError) in
            state.begins.append(request)
            guard let record = state.records[request.account] else { return .missing }
            if let reply = state.begin?(record.snapshot) { return reply }
            if !record.snapshot.enabled || record.snapshot.status == .reauthRequired {
                return .blocked(record.snapshot)
            }
            if case .newerThan(let generation) = request.demand, record.snapshot.generation > generation {
                return .fresh(record.snapshot)
            }
            return .granted(
                RefreshClaim(
                    account: record.snapshot, attempt: request.attempt, generation: record.snapshot.generation,
                    refreshToken: record.refreshToken, isRecovery: false))
        }
    }

    func commit(_ request: CommitRequest) async throws(StoreError) -> CommitReply {
        try locked { state throws(StoreError) in
            guard let record = state.records[request.account] else { return .orphaned }
            state.records[request.account] = Record(
                snapshot: request.snapshot(after: record.snapshot, enabled: record.snapshot.enabled),
                refreshToken: request.refreshToken)
            return .committed(enabled: record.snapshot.enabled)
        }
    }

    func settle(_ request: SettleRequest) async throws(StoreError) -> SettleReply {
        try locked { state throws(StoreError) in
            guard var record = state.records[request.account] else { return .missing }
            record.snapshot.lastFault = request.fault
            if request.fault.kind == .refused { record.snapshot.status = .reauthRequired }
            state.records[request.account] = record
            return .settled(record.snapshot)
        }
    }

    func read(_ account: AccountID) async throws(StoreError) -> AccountSnapshot? {
        try locked { state throws(StoreError) in
            state.reads += 1
            return state.records[account]?.snapshot
        }
    }

    func put(_ account: AccountPut) async throws(StoreError) -> PutReply {
        try locked { state throws(StoreError) in
            state.puts.append(account)
            if let reply = state.putReply, !account.isForced { return reply }
            let known = state.records[account.id]?.snapshot
            if let expected = account.ifGeneration, known?.generation != expected {
                return .conflict(known?.generation)
            }
            if let known, known.provider != account.provider { return .otherProvider(known.provider) }
            if let known, account.overwrite == .never { return .kept(known.generation) }
            let generation = known?.generation.next ?? Generation(1)
            var snapshot = AccountSnapshot(
                id: account.id, provider: account.provider, name: account.name ?? known?.name ?? "",
                generation: generation, accessToken: account.credentials.accessToken,
                expiresAt: account.credentials.expiresAt, createdAt: known?.createdAt ?? time.wall(),
                updatedAt: time.wall(), dueAt: account.dueAt, pool: known?.pool, tier: known?.tier,
                labels: known?.labels ?? .none, proxy: known?.proxy)
            account.traits.apply(to: &snapshot)
            state.records[account.id] = Record(
                snapshot: snapshot, refreshToken: account.credentials.refreshToken)
            return known == nil ? .created(generation) : .replaced(generation)
        }
    }

    func edit(_ account: AccountID, _ edit: AccountEdit) async throws(StoreError) -> EditReply {
        try locked { state throws(StoreError) in
            guard var record = state.records[account] else { return .missing }
            if let expected = edit.ifGeneration, record.snapshot.generation != expected {
                return .conflict(record.snapshot.generation)
            }
            if let name = edit.name { record.snapshot.name = name }
            if let enabled = edit.enabled { record.snapshot.enabled = enabled }
            let labels = edit.traits.labels.applied(to: record.snapshot.labels)
            if labels.isTooMany { return .tooManyLabels }
            edit.traits.apply(to: &record.snapshot)
            state.records[account] = record
            return .done
        }
    }

    func remove(_ account: AccountID, ifGeneration: Generation?) async throws(StoreError) -> EditReply {
        try locked { state throws(StoreError) in
            guard let record = state.records[account] else { return .missing }
            if let ifGeneration, record.snapshot.generation != ifGeneration {
                return .conflict(record.snapshot.generation)
            }
            state.records[account] = nil
            return .done
        }
    }

    func list(after: AccountID?, limit: Int) async throws(StoreError) -> AccountPage {
        try locked { state throws(StoreError) in
            let all = state.records.keys.sorted().filter { id in after.map { id > $0 } ?? true }
            let page = all.prefix(limit).compactMap { state.records[$0]?.snapshot }
            return AccountPage(accounts: page, next: all.count > limit ? page.last?.id : nil)
        }
    }

    func count() async throws(StoreError) -> Int {
        try locked { state throws(StoreError) in state.records.count }
    }
}
