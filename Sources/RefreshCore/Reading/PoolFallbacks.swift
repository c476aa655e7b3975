import NIOConcurrencyHelpers

/// The configured fallback tokens of pools, and whether a pool needs its own: whether any of its accounts has a valid token.
///
/// That is asked only for an account which has no token, and then at most once in a while, however many want to know.
public final class PoolFallbacks: Sendable {
    /// What was found when a pool was last looked at.
    private struct Look {
        /// When the tokens that were valid end.
        var ends: [AccountID: WallTime]
        var until: MonotonicTime
    }

    private enum Entry {
        case under(way: Task<Look, Never>)
        case done(Look)
    }

    public let tokens: [PoolName: FallbackToken]
    private let store: any PoolStore
    private let rest: Duration
    private let entries = NIOLockedValueBox<[PoolName: Entry]>([:])

    /// - Parameter rest: for how long an answer of the store is taken for granted.
    public init(tokens: [PoolName: FallbackToken], store: any PoolStore, rest: Duration = .seconds(5)) {
        self.tokens = tokens
        self.store = store
        self.rest = rest
    }

    /// Whether no other account of the pool has a token that is valid at `wall`. Where the store cannot be asked, memory
    /// has to do.
    func hasNoValidToken(
        _ pool: PoolName, besides account: AccountID, cache: TokenCache, now: MonotonicTime, wall: WallTime
    ) async -> Bool {
        let look = await look(pool, cache, now, wall)
        return !look.ends.contains { $0.key != account && wall < $0.value }
    }

    private func look(_ pool: PoolName, _ cache: TokenCache, _ now: MonotonicTime, _ wall: WallTime) async -> Look {
        let entry = entries.withLockedValue { entries -> Entry in
            switch entries[pool] {
            case .done(let look) where now < look.until: return .done(look)
            case .under(let task): return .under(way: task)
            case .done, nil:
                // Whoever asked first may go away; the others still want to know.
                let entry = Entry.under(way: Task { await ask(pool, cache, now, wall) })
                entries[pool] = entry
                return entry
            }
        }
        switch entry {
        case .done(let look): return look
        case .under(let task): return await task.value
        }
    }

    private func ask(_ pool: PoolName, _ cache: TokenCache, _ now: MonotonicTime, _ wall: WallTime) async -> Look {
        let members: [AccountSnapshot]
        do {
            members = try await store.members(of: pool)
        } catch {
            members = cache.lastKnown(in: pool)
        }
        var look = Look(ends: [:], until: now + rest)
        for member in members where member.enabled && member.isValid(at: wall) {
            look.ends[member.id] = member.expiresAt
        }
        entries.withLockedValue { [look] in $0[pool] = .done(look) }
        return look
    }
}
