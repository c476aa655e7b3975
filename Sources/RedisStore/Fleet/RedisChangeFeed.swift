import RedisClient
import RefreshCore

/// The channel `perennial:changes`, read as what it says.
public struct RedisChangeFeed: ChangeFeed {
    let link: RedisLink

    public init(link: RedisLink) {
        self.link = link
    }

    public func signals() -> AsyncStream<FleetSignal> {
        let subscription = link.client.subscribe(to: [link.keys.changes])
        return AsyncStream { continuation in
            let pump = Task {
                for await event in subscription {
                    switch event {
                    case .subscribed: continuation.yield(.connected)
                    case .disconnected: continuation.yield(.disconnected)
                    case .message(_, let payload):
                        if let signal = Self.signal(payload) { continuation.yield(signal) }
                    }
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in
                pump.cancel()
                subscription.cancel()
            }
        }
    }

    /// Nil for what a newer version may say.
    static func signal(_ payload: [UInt8]) -> FleetSignal? {
        let words = String(decoding: payload, as: UTF8.self).split(separator: " ")
        if words == ["leader", "released"] { return .leaderReleased }
        if words.count == 2, words[0] == "events", let partition = Int(words[1]) {
            return .eventsAppended(partition: partition)
        }
        if words == ["provider", "resumed"] { return .providerResumed }
        if words.first == "cooldown", words.count >= 5, let pool = try? PoolName(String(words[1])),
            let version = Int64(words[3])
        {
            return CooldownText.change(field: words[2], value: words[4...].joined(separator: " "))
                .map { .cooldownChanged(pool, Versioned($0, version: version)) }
        }
        guard words.count == 3, let generation = Int64(words[0]),
            let outcome = AccountChange.Outcome(rawValue: String(words[1])), let id = try? AccountID(String(words[2]))
        else { return nil }
        return .changed(AccountChange(account: id, generation: Generation(generation), outcome: outcome))
    }
}
