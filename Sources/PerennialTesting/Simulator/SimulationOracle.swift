import RefreshCore

/// An invariant that did not hold.
public struct Violation: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Rule: String, Sendable, Hashable, CaseIterable {
        case singleUse = "I1 single use"
        case monotone = "I2 monotone"
        case noLoss = "I3 no loss"
        case noFalseDeath = "I4 no false death"
        case honestReads = "I5 honest reads"
        case lockHygiene = "I6 lock hygiene"
        case liveness
    }

    public var rule: Rule
    public var what: String
    public var description: String { "\(rule.rawValue): \(what)" }
}

/// Knows everything that happens in a run, and compares it with what must hold. Keeps its own books: the spends as the
/// provider's side of the wire sees them, what each generation holds, and which answers are owed to whom.
struct SimulationOracle {
    private(set) var violation: Violation?
    private(set) var spends: [AccountID: [Spend]] = [:]
    /// What each generation of each account holds.
    private var contents: [AccountID: [Generation: Content]] = [:]
    private var newest: [AccountID: Generation] = [:]
    /// The newest generation whose COMMIT was confirmed, so that its journal entry was let go of.
    private var confirmed: [AccountID: Generation] = [:]
    /// Claims that were granted by a server.
    private var granted: [AttemptID: TrueTime] = [:]
    /// Answers whose fsync was reported as done, and which are not released yet.
    private var owed: [(process: Int, entry: JournalEntry)] = []
    /// Why an account may have lost its refresh token without anybody's fault.
    private(set) var excuses: [AccountID: Set<String>] = [:]
    private var removed: Set<AccountID> = []
    /// Whether anything has kept a process from going on.
    private(set) var hadTrouble = false
    private(set) var served = 0
    private(set) var spendCount = 0
    private(set) var recoveries = 0

    private struct Content: Hashable {
        var access: String
        var refresh: String
        var expiresAt: WallTime?
    }

    mutating func fail(_ rule: Violation.Rule, _ what: String) {
        if violation == nil { violation = Violation(rule: rule, what: what) }
    }

    mutating func excuse(_ account: AccountID, _ reason: String) { excuses[account, default: []].insert(reason) }

    // MARK: I1 and I6: what leaves a process

    mutating func sending(_ spend: Spend, begunAt: TrueTime, policy: RefreshPolicy) {
        let account = spend.account
        spendCount += 1
        if spend.isRecovery { recoveries += 1 }
        if granted[spend.attempt] == nil {
            fail(.lockHygiene, "\(account): attempt \(spend.attempt) sends a refresh token that no BEGIN has granted")
        }
        if spend.sentAt > begunAt + TrueTime(policy.sendBy) {
            fail(
                .singleUse,
                "\(account): attempt \(spend.attempt) sends \((spend.sentAt - begunAt) / 1_000_000) ms after its BEGIN was sent, past send-by"
            )
        }
        let earlier = (spends[account] ?? []).filter {
            $0.token == spend.token && $0.generation == spend.generation && !$0.isCleared && !$0.isRefused
        }
        if !spend.isRecovery, !earlier.isEmpty {
            fail(
                .singleUse,
                "\(account): attempt \(spend.attempt) spends generation \(spend.generation), which \(earlier[0].attempt) has spent"
            )
        }
        if policy.rotation != .reusable, earlier.count > 1 {
            fail(
                .singleUse,
                "\(account): generation \(spend.generation) is sent a third time, by attempt \(spend.attempt)")
        }
        spends[account, default: []].append(spend)
    }

    private mutating func change(_ attempt: AttemptID, of account: AccountID, _ body: (inout Spend) -> Void) {
        guard let index = spends[account]?.lastIndex(where: { $0.attempt == attempt }) else { return }
        body(&spends[account]![index])
    }

    /// The sender learnt that nothing was spent.
    mutating func cleared(_ attempt: AttemptID, of account: AccountID) {
        change(attempt, of: account) { $0.isCleared = true }
    }

    mutating func refused(_ attempt: AttemptID, of account: AccountID) {
        change(attempt, of: account) { $0.isRefused = true }
    }

    /// Something keeps a process from storing its answers.
    mutating func trouble(_ process: Int?, _ reason: String, accounts: [AccountID]) {
        hadTrouble = true
        for account in accounts {
            for index in spends[account]?.indices ?? 0..<0
            where process == nil || spends[account]![index].process == process {
                let spend = spends[account]![index]
                // An answer that waits for a confirmation is not safe although its generation has been seen.
                let isOpen =
                    spend.generation >= newest[account] ?? Generation(0)
                    || owed.contains { $0.entry.attempt == spend.attempt }
                if isOpen { spends[account]![index].trouble = reason }
            }
        }
    }

    /// A token was used again and its family is dead.
    mutating func familyRevoked(_ account: AccountID, generation: Generation, by attempt: AttemptID) {
        let own = (spends[account] ?? []).filter { $0.generation == generation }
        if let reason = own.lazy.filter({ $0.attempt != attempt }).compactMap(\.trouble).first {
            excuse(account, reason)
        }
        if excuses[account] == nil {
            fail(
                .singleUse, "\(account): reuse of generation \(generation) by attempt \(attempt) has killed its family")
        }
    }

    /// Why the refresh token of this generation may be dead without anybody's fault, or nil.
    func explanation(of account: AccountID, at generation: Generation) -> String? {
        if let excuse = excuses[account]?.sorted().first { return excuse }
        return (spends[account] ?? []).lazy.filter { $0.generation == generation }.compactMap(\.trouble).first
    }

    // MARK: I2, I4 and I6: what happens in the store

    mutating func began(
        _ account: AccountID, _ reply: BeginReply, attempt: AttemptID, lockBefore: AttemptID?, now: TrueTime
    ) {
        guard case .granted(let claim) = reply else { return }
        granted[claim.attempt] = granted[claim.attempt] ?? now
        if let lockBefore, lockBefore != attempt {
            fail(.lockHygiene, "\(account): BEGIN of \(attempt) takes the lock that \(lockBefore) holds")
        }
    }

    mutating func released(_ account: AccountID, by attempt: AttemptID, lockBefore: AttemptID?, lockAfter: AttemptID?) {
        if let lockBefore, lockBefore != attempt, lockAfter != lockBefore {
            fail(.lockHygiene, "\(account): \(attempt) frees the lock of \(lockBefore)")
        }
    }

    /// Compares an account with what it was.
    mutating func looked(at record: ModelState.Record) {
        let account = record.snapshot.id
        let generation = record.snapshot.generation
        if let known = newest[account], generation < known {
            fail(.monotone, "\(account): generation \(generation) after \(known)")
        }
        newest[account] = max(generation, newest[account] ?? generation)
        if record.isRemoved {
            removed.insert(account)
            return
        }
        removed.remove(account)
        let content = Content(
            access: record.snapshot.accessToken?.reveal() ?? "", refresh: record.refreshToken.reveal(),
            expiresAt: record.snapshot.expiresAt)
        if let known = contents[account]?[generation] {
            if known != content { fail(.monotone, "\(account): generation \(generation) has changed its content") }
        } else {
            contents[account, default: [:]][generation] = content
        }
    }

    /// An account is declared dead by the settlement of `attempt`.
    mutating func declaredDead(
        _ record: ModelState.Record, by request: SettleRequest, orphans: Int, journals: [SimulatedJournal]
    ) {
        let account = record.snapshot.id
        let generation = record.snapshot.generation
        let own = spends[account]?.last { $0.attempt == request.attempt }
        if request.generation != generation {
            fail(.noFalseDeath, "\(account): dead at \(generation) for a refusal of \(request.generation)")
        } else if own?.isRefused != true {
            fail(.noFalseDeath, "\(account): dead without a refusal of generation \(generation)")
        } else if orphans > 0 {
            fail(.noFalseDeath, "\(account): dead with \(orphans) orphans")
        }
        let isKept = journals.contains { journal in
            journal.entries.contains { $0.account == account && $0.generation >= generation }
        }
        // A re-send is the last resort after the journal that may hold the answer has had its chance.
        if isKept, own?.isRecovery != true, excuses[account] == nil {
            fail(.noFalseDeath, "\(account): dead with its answer in a journal")
        }
    }

    // MARK: I3: what has been received

    /// An append has been reported as done.
    mutating func journaled(_ entry: JournalEntry, in process: Int, journal: SimulatedJournal) {
        owed.append((process, entry))
        checkOwed(process, journal)
    }

    /// A commit goes out: its answer has to be on disk, unless the disk refused it.
    mutating func committing(_ request: CommitRequest, journal: SimulatedJournal, diskFailed: Bool) {
        if journal.entry(request.attempt) == nil, !diskFailed {
            fail(.noLoss, "\(request.account): COMMIT of \(request.attempt) before its answer is on disk")
        }
    }

    mutating func checkOwed(_ process: Int, _ journal: SimulatedJournal) {
        for (owner, entry) in owed where owner == process && journal.entry(entry.attempt) == nil {
            fail(.noLoss, "\(entry.account): the journal has lost the answer to \(entry.attempt)")
        }
    }

    /// The journal lets go of an entry: its token has to be somewhere else.
    mutating func letGo(
        _ attempt: AttemptID, of account: AccountID, refresh: String?, isConfirmed: Bool,
        orphans: [CommitRequest], isRefused: Bool
    ) {
        guard let index = owed.firstIndex(where: { $0.entry.attempt == attempt }) else { return }
        let entry = owed.remove(at: index).entry
        guard let refresh, !removed.contains(account), !isRefused else { return }
        let isStored = contents[account]?[entry.generation.next]?.refresh == refresh
        if isStored {
            if isConfirmed { confirmed[account] = max(confirmed[account] ?? Generation(0), entry.generation.next) }
        } else if !orphans.contains(where: { $0.attempt == attempt }) {
            fail(.noLoss, "\(account): the journal has let go of \(attempt), and the store does not have its token")
        }
    }

    /// Another server is primary now, with what it has.
    mutating func failedOver(to state: ModelState) {
        for (account, record) in state.records.sorted(by: { $0.key < $1.key }) {
            let generation = record.snapshot.generation
            if let sure = confirmed[account], sure > generation {
                fail(.noLoss, "\(account): the failover lost generation \(sure), which had been confirmed")
            }
            contents[account] = contents[account]?.filter { $0.key <= generation }
            newest[account] = generation
        }
    }

    // MARK: I5: what is served

    mutating func serves(
        _ answer: TokenAnswer, to request: TokenRequest, trueEnd: TrueTime?, now: TrueTime, fleet: WallTime,
        tolerance: Duration
    ) {
        served += 1
        let isOverInTruth = trueEnd.map { now > $0 + TrueTime(tolerance) } ?? true
        let isOverForFleet = fleet - tolerance >= answer.expiresAt
        if isOverInTruth, isOverForFleet {
            fail(
                .honestReads,
                "\(request.account): served a token that expired \((fleet - answer.expiresAt).wholeMilliseconds) ms ago"
            )
        }
        if let refused = request.refused, answer.snapshot.generation <= refused {
            fail(.honestReads, "\(request.account): served generation \(answer.snapshot.generation), which was refused")
        }
        if !answer.snapshot.enabled { fail(.honestReads, "\(request.account): served though paused") }
    }

    /// A caller got nothing although this instance knew a valid token.
    ///
    /// - Parameter told: the account as the failed refresh, or the read before it, has just seen it. Paused then, and resumed in the same moment:
    ///   either answer is right. And what is newer supersedes what is known, even where a clock that was set back makes
    ///   the older token look valid and the newer one not.
    mutating func withheld(
        _ known: AccountSnapshot, told: AccountSnapshot?, from request: TokenRequest, failure: RefreshFailure,
        fleet: WallTime
    ) {
        if let told, !told.enabled || told.generation > known.generation { return }
        guard known.enabled, known.remaining(at: fleet) > .seconds(2) else { return }
        if let refused = request.refused, known.generation <= refused { return }
        switch failure.code {
        case .accountNotFound, .disabled: return
        default:
            fail(
                .honestReads,
                "\(request.account): \(failure.code.rawValue) though a valid token of generation \(known.generation) was known"
            )
        }
    }
}
