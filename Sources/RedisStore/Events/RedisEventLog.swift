import RedisClient
import RefreshCore

/// Puts events into the stream that come from no change of an account: those of the fleet, its leader and its store.
public struct RedisEventLog: Sendable {
    let link: RedisLink
    /// As `append_event` in prelude.lua keeps them.
    private static let eventsKept = 10_000
    /// What follows an outage of the store within this time counts as part of it.
    private static let sameOutage = Duration.seconds(60)

    public init(link: RedisLink) {
        self.link = link
    }

    /// Appends an event as it is, and wakes whoever delivers events.
    ///
    /// - Parameter fields: never a token.
    public func append(
        _ type: String, _ fields: [FleetEvent.Field], partition: Int = 0
    ) async throws(StoreError) {
        let key = link.keys.events(partition)
        var words: [any RedisArgument] = [
            key, "MAXLEN", "~", Self.eventsKept, "*", "at", link.clock.wall().milliseconds, "type", type,
        ]
        for field in fields {
            words.append(field.name)
            words.append(field.value)
        }
        _ = try await link.pipeline(
            [
                RedisCommand("XADD", arguments: words),
                RedisCommand("PUBLISH", link.keys.changes, "events \(partition)"),
            ], key: key)
    }

    /// A reign has begun: an event, unless this instance was the last one to lead.
    ///
    /// - Returns: whether there is a new event.
    @discardableResult
    public func leaderChanged(to instance: InstanceID, epoch: Int64) async throws(StoreError) -> Bool {
        try await tell(ScriptLibrary.leaderChanged, [instance.rawValue, epoch, link.keys.changes])
    }

    /// What an exchange has said of a provider's configuration: an event, unless the fleet knows it already.
    ///
    /// - Parameter fault: what it answered; nil: it works.
    /// - Returns: whether there is a new event.
    @discardableResult
    public func providerState(
        _ provider: ProviderName, fault: String?, instance: InstanceID
    ) async throws(StoreError) -> Bool {
        try await tell(
            ScriptLibrary.providerState,
            [
                provider.rawValue, fault == nil ? "works" : "misconfigured", fault ?? "", instance.rawValue,
                link.keys.changes,
            ])
    }

    /// The store is back after `outage`: two events, unless another instance has told of the same outage.
    ///
    /// - Returns: whether there are new events.
    @discardableResult
    public func storeWasAway(
        for outage: Duration, reason: String, instance: InstanceID
    ) async throws(StoreError) -> Bool {
        try await tell(
            ScriptLibrary.storeOutage,
            [
                max(0, outage.wholeMilliseconds), reason, instance.rawValue, Self.sameOutage.wholeMilliseconds,
                link.keys.changes,
            ])
    }

    private func tell(_ script: RedisScript, _ arguments: [any RedisArgument]) async throws(StoreError) -> Bool {
        let reply = try await link.evaluate(
            script, keys: [link.keys.fleet, link.keys.events(0)], arguments: arguments)
        guard reply.count >= 2, link.align(reply, at: 0) != nil, let told = reply[1].int else {
            throw .malformed("an event of the fleet")
        }
        return told == 1
    }
}
