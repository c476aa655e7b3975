import RedisClient
public import RefreshCore

/// The cool-downs of pools in Redis: a hash for each pool, changed by scripts that announce what they change.
public struct RedisCooldownStore: CooldownStore {
    private let link: RedisLink

    public init(link: RedisLink) {
        self.link = link
    }

    public func cooldowns(of pool: PoolName) async throws(StoreError) -> Versioned<[Cooldown]> {
        let key = link.keys.cooldowns(pool)
        guard let pairs = try await link.send(RedisCommand("HGETALL", key), key: key).pairs else {
            throw .malformed("the cool-downs of a pool")
        }
        let version = pairs.first { $0.0 == CooldownText.version }.flatMap { Int64($0.1) } ?? 0
        return Versioned(pairs.compactMap { CooldownText.cooldown(field: $0.0, value: $0.1) }, version: version)
    }

    public func cool(_ order: CooldownOrder) async throws(StoreError) -> Versioned<Cooldown> {
        let field = CooldownText.field(order.key)
        func milliseconds(_ time: WallTime?) -> String { time.map { String($0.milliseconds) } ?? "" }
        let reply = try await link.evaluate(
            ScriptLibrary.cooldownSet, keys: keys(order.pool),
            arguments: [
                order.pool.rawValue, field, milliseconds(order.until), order.first.wholeMilliseconds,
                order.longest.wholeMilliseconds, order.limit.wholeMilliseconds, order.cause,
                CooldownOrder.shortest.wholeMilliseconds, link.keys.changes, CooldownOrder.slack.wholeMilliseconds,
                order.mayShorten ? 1 : 0, order.replaces ? 1 : 0, milliseconds(order.accountSince),
                milliseconds(order.guess), CooldownLimits.mostWithDimension,
            ])
        guard let (version, text) = versioned(reply), let text,
            let cooldown = CooldownText.cooldown(field: field, value: text)
        else { throw .malformed("a cool-down") }
        return Versioned(cooldown, version: version)
    }

    public func probe(
        _ key: CooldownKey, of pool: PoolName, attempt: AttemptID
    ) async throws(StoreError) -> Versioned<Cooldown>? {
        let field = CooldownText.field(key)
        let reply = try await link.evaluate(
            ScriptLibrary.cooldownProbe, keys: keys(pool),
            arguments: [pool.rawValue, field, attempt.rawValue, link.keys.changes])
        guard let (version, text) = versioned(reply), let text else { throw .malformed("the try of a cool-down") }
        return CooldownText.cooldown(field: field, value: text).map { Versioned($0, version: version) }
    }

    public func worked(
        _ keys: [CooldownKey], of pool: PoolName, attempt: AttemptID?
    ) async throws(StoreError) -> Versioned<[CooldownKey]> {
        try await end(keys, of: pool, "worked", attempt: attempt)
    }

    public func release(_ keys: [CooldownKey], of pool: PoolName) async throws(StoreError) -> Versioned<[CooldownKey]> {
        try await end(keys, of: pool, "released", attempt: nil)
    }

    /// No script holds up the server with more.
    private static let mostAtOnce = 200

    private func end(
        _ keys: [CooldownKey], of pool: PoolName, _ what: String, attempt: AttemptID?
    ) async throws(StoreError) -> Versioned<[CooldownKey]> {
        var ended = Versioned<[CooldownKey]>([], version: 0)
        for start in stride(from: 0, to: keys.count, by: Self.mostAtOnce) {
            let reply = try await link.evaluate(
                ScriptLibrary.cooldownEnd, keys: self.keys(pool),
                arguments: [pool.rawValue, link.keys.changes, what, attempt?.rawValue ?? ""]
                    + keys[start..<min(start + Self.mostAtOnce, keys.count)].map { CooldownText.field($0) })
            guard let (version, _) = versioned(reply) else { throw .malformed("the end of a cool-down") }
            ended.version = version
            ended.value += reply.fields.dropFirst(2).compactMap { $0.string.flatMap { CooldownText.key($0) } }
        }
        return ended
    }

    /// The version of what a script has answered, and the text behind it.
    private func versioned(_ reply: ScriptReply) -> (Int64, String?)? {
        guard reply.count >= 2, link.align(reply, at: 0) != nil, let version = reply[1].int else { return nil }
        return (version, reply.count > 2 ? reply[2].string : nil)
    }

    private func keys(_ pool: PoolName) -> [String] {
        [link.keys.cooldowns(pool), link.keys.cooldownsForgotten(pool)]
    }
}
