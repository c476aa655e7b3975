/// Pools for people to look at, and what they decide about cool-downs.
extension PoolDesk {
    public func statuses() async throws(PoolFailure) -> [PoolStatus] {
        var statuses: [PoolStatus] = []
        for name in settings.keys.sorted() { statuses.append(try await status(of: name)) }
        return statuses
    }

    public func status(of pool: PoolName) async throws(PoolFailure) -> PoolStatus {
        _ = try settings(of: pool)
        do throws(StoreError) {
            try await board.ready(pool)
        } catch {
            throw PoolFailure(.storeUnavailable, error.message, retryAfter: .seconds(1))
        }
        let hasFallback = fallbacks[pool] != nil
        guard let status = board.look(pool, { view, now in view.status(now: now, hasFallback: hasFallback) }) else {
            throw notFound(pool)
        }
        return status
    }

    /// The cool-down that runs, by this instance's memory.
    public func cooldown(_ key: CooldownKey, in pool: PoolName) -> Cooldown? {
        board.look(pool) { view, now in view.memory.all[key].flatMap { $0.isRunning(at: now) ? $0 : nil } } ?? nil
    }

    /// A person takes an account out for a time.
    ///
    /// - Throws: ``PoolFailure`` also when the store does not take it.
    public func cool(
        _ key: CooldownKey, in pool: PoolName, until: WallTime, cause: String
    ) async throws(PoolFailure) -> Cooldown {
        let status = try await status(of: pool)
        guard status.members.contains(where: { $0.account.id == key.account }) else {
            throw PoolFailure(.notInPool, "account \(key.account) is not in pool \(pool)")
        }
        let rules = status.settings.cooldowns
        do throws(StoreError) {
            // What a person says counts, be it shorter than what runs.
            var order = CooldownOrder(
                pool: pool, key: key, until: until, first: rules.quota, longest: rules.longest, limit: rules.limit,
                cause: cause)
            order.replaces = true
            let cooldown = try await cooldowns.cool(order)
            board.cooldownChanged(Versioned(.set(cooldown.value), version: cooldown.version), in: pool)
            return cooldown.value
        } catch {
            throw PoolFailure(.storeUnavailable, error.message, retryAfter: .seconds(1))
        }
    }

    /// Ends cool-downs: of one account, or of all.
    ///
    /// - Returns: those that there were.
    public func release(_ account: AccountID?, in pool: PoolName) async throws(PoolFailure) -> [CooldownKey] {
        _ = try settings(of: pool)
        do throws(StoreError) {
            let keys = try await cooldowns.cooldowns(of: pool).value.map(\.key)
                .filter { account == nil || $0.account == account }
            guard !keys.isEmpty else { return [] }
            let ended = try await cooldowns.release(keys, of: pool)
            hear(ended, in: pool)
            acquisitions?.ring(pool)
            return ended.value.sorted()
        } catch {
            throw PoolFailure(.storeUnavailable, error.message, retryAfter: .seconds(1))
        }
    }
}
