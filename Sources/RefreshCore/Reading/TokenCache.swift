import NIOConcurrencyHelpers

/// What this instance remembers of accounts, so that a warm read costs no Redis command.
///
/// Memory is trusted only while the subscription to the fleet's changes stands; else an entry is good for one second.
/// After a disconnect entries are kept, untrusted, as the last resort while the store is away (I5).
public final class TokenCache: Sendable {
    /// How long an entry is trusted without a subscription.
    static let unsubscribedTrust: Duration = .seconds(1)

    private struct Entry {
        var snapshot: AccountSnapshot
        var loadedAt: MonotonicTime
        var epoch: UInt64
    }

    private struct State {
        var entries: [AccountID: Entry] = [:]
        /// Grows with every change of any account.
        var changes: UInt64 = 0
        /// The last change of an account, so that a read which began earlier is not remembered.
        var versions: [AccountID: UInt64] = [:]
        /// Grows with every change that is not a refresh: what a commit of one's own must not paint over.
        var edits: [AccountID: UInt64] = [:]
        var epoch: UInt64 = 0
        var isSubscribed = false

        mutating func note(_ account: AccountID) {
            changes += 1
            versions[account] = changes
        }
    }

    private let state = NIOLockedValueBox(State())
    private let capacity: Int

    /// - Parameter capacity: the most accounts to remember; beyond it arbitrary ones are forgotten.
    public init(capacity: Int = 500_000) {
        self.capacity = capacity
    }

    /// Taken before a read of the store; what is read may be remembered only if nothing changed since.
    public struct Ticket: Sendable, Hashable {
        fileprivate var version: UInt64
        fileprivate var epoch: UInt64
    }

    public func ticket(for account: AccountID) -> Ticket {
        state.withLockedValue { Ticket(version: $0.versions[account] ?? 0, epoch: $0.epoch) }
    }

    /// Taken before a read of many accounts; what is read is remembered where the account has not changed since.
    struct Mark: Sendable, Hashable {
        fileprivate var changes: UInt64
        fileprivate var epoch: UInt64
    }

    func mark() -> Mark { state.withLockedValue { Mark(changes: $0.changes, epoch: $0.epoch) } }

    /// Remembers what a read that began at `mark` has found, unless the account has changed since.
    func remember(_ snapshot: AccountSnapshot, since mark: Mark, now: MonotonicTime) {
        let ticket = state.withLockedValue { state in
            let version = state.versions[snapshot.id] ?? 0
            return state.epoch == mark.epoch && version <= mark.changes
                ? Ticket(version: version, epoch: mark.epoch) : nil
        }
        if let ticket { remember(snapshot, since: ticket, now: now) }
    }

    /// The entry, if memory may be trusted for it.
    public func trusted(_ account: AccountID, now: MonotonicTime) -> AccountSnapshot? {
        state.withLockedValue { state in
            guard let entry = state.entries[account] else { return nil }
            if state.isSubscribed, entry.epoch == state.epoch { return entry.snapshot }
            return now - entry.loadedAt <= Self.unsubscribedTrust ? entry.snapshot : nil
        }
    }

    /// The entry, trusted or not: only for when the store cannot be asked.
    public func lastKnown(_ account: AccountID) -> AccountSnapshot? {
        state.withLockedValue { $0.entries[account]?.snapshot }
    }

    /// All that is remembered of a pool's accounts, trusted or not. Costs a look at every entry.
    func lastKnown(in pool: PoolName) -> [AccountSnapshot] {
        state.withLockedValue { state in state.entries.values.map(\.snapshot).filter { $0.pool == pool } }
    }

    /// Remembers what a read that began at `ticket` has found.
    public func remember(_ snapshot: AccountSnapshot, since ticket: Ticket, now: MonotonicTime) {
        state.withLockedValue { state in
            guard ticket == Ticket(version: state.versions[snapshot.id] ?? 0, epoch: state.epoch) else { return }
            // A store that has gone back does not make this instance forget what it knows: see ``forget(_:)``.
            if let known = state.entries[snapshot.id]?.snapshot, known.generation > snapshot.generation { return }
            store(snapshot, in: &state, now: now)
        }
    }

    /// Taken before a refresh begins; see ``rememberCommitted(_:since:now:)``.
    public struct EditTicket: Sendable, Hashable {
        fileprivate var edits: UInt64
        fileprivate var epoch: UInt64
    }

    public func editTicket(for account: AccountID) -> EditTicket {
        state.withLockedValue { EditTicket(edits: $0.edits[account] ?? 0, epoch: $0.epoch) }
    }

    /// Remembers what this instance has committed itself, unless the account was paused, removed or otherwise edited
    /// since `ticket`.
    public func rememberCommitted(_ snapshot: AccountSnapshot, since ticket: EditTicket, now: MonotonicTime) {
        state.withLockedValue { state in
            guard ticket == EditTicket(edits: state.edits[snapshot.id] ?? 0, epoch: state.epoch) else { return }
            if let known = state.entries[snapshot.id]?.snapshot, known.generation > snapshot.generation { return }
            state.note(snapshot.id)
            store(snapshot, in: &state, now: now)
        }
    }

    /// Somebody changed the account. An announcement of what is known already (one's own commit) drops nothing.
    public func invalidate(_ change: AccountChange) {
        state.withLockedValue { state in
            if change.outcome == .refreshed, let known = state.entries[change.account]?.snapshot,
                known.generation >= change.generation
            {
                return
            }
            state.note(change.account)
            if change.outcome != .refreshed { state.edits[change.account, default: 0] += 1 }
            state.entries[change.account]?.epoch = .max
            state.entries[change.account]?.loadedAt = MonotonicTime(nanoseconds: .min / 2)
        }
    }

    /// The account is gone.
    public func forget(_ account: AccountID) {
        state.withLockedValue { state in
            state.note(account)
            state.edits[account, default: 0] += 1
            state.entries[account] = nil
        }
    }

    /// The subscription was lost, or stands again: in both cases messages may have been missed.
    public func subscriptionChanged(isUp: Bool) {
        state.withLockedValue { state in
            state.isSubscribed = isUp
            state.epoch += 1
            state.versions.removeAll()
            state.edits.removeAll()
        }
    }

    public var isSubscribed: Bool { state.withLockedValue { $0.isSubscribed } }

    private func store(_ snapshot: AccountSnapshot, in state: inout State, now: MonotonicTime) {
        if state.entries.count >= capacity, state.entries[snapshot.id] == nil, let victim = state.entries.keys.first {
            state.entries[victim] = nil
        }
        state.entries[snapshot.id] = Entry(snapshot: snapshot, loadedAt: now, epoch: state.epoch)
    }
}
