import RedisClient
import RefreshCore

/// Pauses and circuit breakers of the providers, read from the first partition: what is noted in one is noted in all.
public struct RedisProviderMonitor: ProviderMonitor {
    let link: RedisLink

    public init(link: RedisLink) {
        self.link = link
    }

    public func conditions(of providers: [ProviderName]) async throws(StoreError) -> [ProviderCondition] {
        guard !providers.isEmpty else { return [] }
        let key = link.keys.pauses(0)
        let fields = providers.flatMap { [$0.rawValue, "breaker \($0.rawValue)"] }
        let reply = try await link.send(RedisCommand("HMGET", arguments: [key] + fields), key: key)
        guard let values = reply.array, values.count == fields.count else { throw .malformed("the pauses") }
        let now = link.clock.wall()
        return providers.indices.map { index in
            Self.condition(
                of: providers[index], pause: values[2 * index].string, breaker: values[2 * index + 1].string, now: now)
        }
    }

    /// - Parameters:
    ///   - pause: "until kind message".
    ///   - breaker: "failures trips probe".
    static func condition(
        of provider: ProviderName, pause: String?, breaker: String?, now: WallTime
    ) -> ProviderCondition {
        var condition = ProviderCondition(provider: provider)
        let numbers = (breaker ?? "").split(separator: " ")
        let trips = numbers.count == 3 ? Int(numbers[1]) ?? 0 : 0
        condition.failures = numbers.count == 3 ? Int(numbers[0]) ?? 0 : 0
        let words = (pause ?? "").split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        if words.count == 3, let until = Int64(words[0]), let kind = RefreshFault.Kind(rawValue: String(words[1])) {
            let time = WallTime(milliseconds: until)
            if time > now, time <= now + .seconds(3605) { condition.pausedUntil = time }
            if condition.pausedUntil != nil || trips > 0 {
                condition.cause = RefreshFault(kind: kind, message: String(words[2]))
            }
        }
        let isProbing = numbers.count == 3 && numbers[2] != "-"
        if trips > 0 { condition.circuit = condition.pausedUntil == nil || isProbing ? .halfOpen : .open }
        return condition
    }
}
