import RefreshCore

/// Pools as the API shows them. Only ``write(_:of:now:to:)`` writes a token.
public enum PoolDocument {
    /// The JSON of `GET /v1/pools`.
    public static func render(_ pools: [PoolStatus]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("pools")
            writer.array(pools) { writer, pool in
                writer.object { write(summary: pool, to: &$0) }
            }
        }
        return writer.bytes
    }

    /// The JSON of `GET /v1/pools/{name}`.
    public static func render(_ pool: PoolStatus, now: WallTime) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        write(pool, now: now, to: &writer)
        return writer.bytes
    }

    /// The same as the only one of a list.
    static func render(only pool: PoolStatus, now: WallTime) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        writer.object { writer in
            writer.key("pools")
            writer.array([pool]) { write($1, now: now, to: &$0) }
        }
        return writer.bytes
    }

    private static func write(_ pool: PoolStatus, now: WallTime, to writer: inout JSONWriter) {
        writer.object { writer in
            write(summary: pool, to: &writer)
            writer.key("members")
            writer.array(pool.members) { writer, member in
                writer.object { write(member, to: &$0) }
            }
            writer.key("cooldowns")
            writer.array(pool.cooldowns.filter { $0.isRunning(at: now) }) { writer, cooldown in
                writer.object { write(cooldown, to: &$0) }
            }
        }
    }

    /// The JSON of `POST /v1/pools/{name}/release`.
    public static func render(released keys: [CooldownKey], of pool: PoolName) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("pool")
            writer.string(pool.rawValue)
            writer.key("released")
            writer.array(keys) { writer, key in
                writer.object { write(key, to: &$0) }
            }
        }
        return writer.bytes
    }

    /// The JSON of `POST /v1/pools/{name}/cooldown`.
    public static func render(_ cooldown: Cooldown) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { write(cooldown, to: &$0) }
        return writer.bytes
    }

    private static func write(summary pool: PoolStatus, to writer: inout JSONWriter) {
        writer.key("name")
        writer.string(pool.settings.name.rawValue)
        writer.key("strategy")
        writer.string(pool.settings.strategy.rawValue)
        writer.key("accounts")
        writer.integer(Int64(pool.members.count))
        writer.key("available")
        writer.integer(Int64(pool.available))
        writer.key("next_at")
        writer.time(late(pool.available > 0 ? nil : pool.nextAt))
        writer.key("acquires")
        writer.bool(pool.settings.acquisition != nil)
        writer.key("fallback")
        writer.bool(pool.hasFallback)
        writer.key("max_concurrent")
        if let most = pool.settings.maxConcurrent { writer.integer(Int64(most)) } else { writer.null() }
        writer.key("tiers")
        writer.array(pool.tiers) { writer, tier in
            writer.object { writer in
                writer.key("name")
                writer.string(tier.name.rawValue)
                writer.key("accounts")
                writer.integer(Int64(tier.members.count))
                writer.key("available")
                writer.integer(Int64(tier.members.count { $0.standing == .available }))
            }
        }
    }

    private static func write(_ member: PoolMember, to writer: inout JSONWriter) {
        writer.key("account")
        writer.string(member.account.id.rawValue)
        writer.key("tier")
        writer.string(member.tier.rawValue)
        writer.key("state")
        writer.string(member.standing.word)
        writer.key("available_at")
        writer.time(late(member.standing.end))
        writer.key("status")
        writer.string(member.account.shownStatus.rawValue)
        writer.key("generation")
        writer.integer(member.account.generation.rawValue)
    }

    private static func write(_ key: CooldownKey, to writer: inout JSONWriter) {
        writer.key("account")
        writer.string(key.account.rawValue)
        writer.key("dimension")
        writer.optional(key.dimension)
    }

    static func write(_ cooldown: Cooldown, to writer: inout JSONWriter) {
        write(cooldown.key, to: &writer)
        writer.key("since")
        writer.time(Timestamp(cooldown.since))
        writer.key("until")
        writer.time(late(cooldown.until))
        writer.key("repeats")
        writer.integer(Int64(cooldown.repeats))
        writer.key("told")
        writer.bool(cooldown.isTold)
        writer.key("cause")
        writer.string(cooldown.cause)
    }

    /// Up, not down: a caller that comes back at this second has to be late enough.
    private static func late(_ time: WallTime?) -> Timestamp? {
        time.map { Timestamp(WallTime(milliseconds: $0.milliseconds &+ 999)) }
    }

    /// The token of a pool: like that of an account, with the pool, and the tier and lease of an account of it.
    static func write(_ token: PoolToken, of pool: PoolName, now: WallTime, to writer: inout JSONWriter) {
        switch token {
        case .account(let pick):
            TokenDocument.write(pick.answer, now: now, to: &writer) { writer in
                writer.key("pool")
                writer.string(pool.rawValue)
                writer.key("tier")
                writer.string(pick.tier.rawValue)
                writer.key("lease")
                writer.optional(pick.lease?.text)
            }
        case .fallback(let token, let failure):
            TokenDocument.write(token, of: nil, because: failure.kind.rawValue, to: &writer)
        }
    }
}

extension PoolStatus {
    /// Those of the configuration in its order, then any other one that an account names.
    fileprivate var tiers: [(name: TierName, members: [PoolMember])] {
        let names = settings.tiers + Set(members.map(\.tier)).subtracting(settings.tiers).sorted()
        return names.map { name in (name, members.filter { $0.tier == name }) }
    }
}
