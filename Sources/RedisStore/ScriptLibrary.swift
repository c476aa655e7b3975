import RedisClient

/// Every script of the store, loaded from the `.lua` files in `Scripts/`, which are built into the binary.
///
/// Each with the commands that a run of it usually makes: of BEGIN one that is granted, of a bid for the lease one that
/// finds it held. The frugal variants are the same scripts, told by an argument to do without what only adds speed.
enum ScriptLibrary {
    static let begin = account("begin", PackageResources.begin_lua, "HMGET TIME HMGET INFO GET SET HSET")
    static let frugalBegin = account("begin", PackageResources.begin_lua, "HMGET TIME HMGET HSET")
    static let commit = account("commit", PackageResources.commit_lua, "HMGET GET DEL HSET ZADD XADD PUBLISH")
    static let frugalCommit = account("commit", PackageResources.commit_lua, "HMGET HSET ZADD PUBLISH")
    static let orphan = account("orphan", PackageResources.orphan_lua, "TIME LRANGE RPUSH XADD PUBLISH")
    static let restoreOrphan = account(
        "restore_orphan", PackageResources.restore_orphan_lua, "HMGET TIME LRANGE EXISTS LREM HSET ZADD XADD PUBLISH")
    static let dropOrphan = account(
        "drop_orphan", PackageResources.drop_orphan_lua, "HMGET TIME LRANGE LREM XADD PUBLISH")
    static let settle = account(
        "settle", PackageResources.settle_lua, "HMGET TIME GET DEL HSET ZADD XADD PUBLISH HMGET")
    static let frugalSettle = account("settle", PackageResources.settle_lua, "HMGET TIME HSET ZADD XADD PUBLISH HMGET")
    static let resealProxy = plain("reseal_proxy", PackageResources.reseal_proxy_lua, "HGET HSET")
    static let pause = account("pause", PackageResources.pause_lua, "TIME HGET HSET")
    static let takeSlot = account("take_slot", PackageResources.take_slot_lua, "TIME HGET HSET")
    static let put = account("put", PackageResources.put_lua, "HMGET TIME HGET HSET HSET HDEL ZADD ZADD XADD PUBLISH")
    static let edit = account("edit", PackageResources.edit_lua, "HMGET TIME HSET HSET PUBLISH")
    static let remove = account(
        "remove", PackageResources.remove_lua, "HMGET TIME HGET DEL HSET ZREM ZREM XADD PUBLISH")
    static let leaderChanged = account(
        "leader_changed", PackageResources.leader_changed_lua, "TIME HGET HSET XADD PUBLISH")
    static let providerState = account(
        "provider_state", PackageResources.provider_state_lua, "TIME HGET HSET")
    static let storeOutage = account(
        "store_outage", PackageResources.store_outage_lua, "TIME HGET HSET XADD XADD PUBLISH")
    static let watchServer = account("watch_server", PackageResources.watch_server_lua, "TIME INFO HGET")
    static let takeDue = plain("take_due", PackageResources.take_due_lua, "TIME HMGET ZRANGEBYSCORE ZRANGE")
    static let leaseAcquire = plain("lease_acquire", PackageResources.lease_acquire_lua, "GET PTTL")
    static let leaseRenew = plain("lease_renew", PackageResources.lease_renew_lua, "GET PEXPIRE")
    static let leaseRelease = plain("lease_release", PackageResources.lease_release_lua, "GET DEL PUBLISH")
    static let poolState = account("pool_state", PackageResources.pool_state_lua, "TIME HGET")
    static let acquisitionClaim = account(
        "acquisition_claim", PackageResources.acquisition_claim_lua, "TIME HMGET HSET")
    static let acquisitionFinish = account(
        "acquisition_finish", PackageResources.acquisition_finish_lua, "TIME HMGET HDEL HDEL")

    static let cooldownSet = cooldown(
        "cooldown_set", PackageResources.cooldown_set_lua, "TIME HMGET HSET PUBLISH ZADD ZRANGEBYSCORE")
    static let cooldownProbe = cooldown(
        "cooldown_probe", PackageResources.cooldown_probe_lua, "TIME HMGET HSET PUBLISH")
    static let cooldownEnd = cooldown(
        "cooldown_end", PackageResources.cooldown_end_lua, "TIME HMGET HDEL ZREM HSET PUBLISH")
    static let slotTake = account(
        "slot_take", PackageResources.slot_take_lua, "TIME ZREMRANGEBYSCORE ZCARD ZADD PTTL PEXPIRE")

    static let slotRenew = account(
        "slot_renew", PackageResources.slot_renew_lua, "TIME ZSCORE ZADD PTTL PEXPIRE")

    private static func cooldown(_ name: String, _ source: [UInt8], _ commands: String) -> RedisScript {
        account(name, PackageResources.cooldown_prelude_lua + source, commands)
    }

    private static func plain(_ name: String, _ source: [UInt8], _ commands: String) -> RedisScript {
        RedisScript(
            name: name, source: String(decoding: source, as: UTF8.self),
            usualCommands: commands.split(separator: " ").map(String.init))
    }

    private static func account(_ name: String, _ source: [UInt8], _ commands: String) -> RedisScript {
        plain(name, PackageResources.prelude_lua + source, commands)
    }
}
