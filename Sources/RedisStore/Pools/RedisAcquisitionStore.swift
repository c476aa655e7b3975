import RedisClient
public import RefreshCore

/// The runs of acquisition chains in Redis: a hash for each pool.
public struct RedisAcquisitionStore: AcquisitionStore {
    private let link: RedisLink

    public init(link: RedisLink) {
        self.link = link
    }

    public func claim(
        _ pool: PoolName, attempt: AttemptID, limits: AcquisitionLimits, continues: Bool = false
    ) async throws(StoreError) -> AcquisitionPermit {
        let reply = try await link.evaluate(
            ScriptLibrary.acquisitionClaim, keys: [link.keys.acquisition(pool)],
            arguments: [
                attempt.rawValue, limits.holdTime.wholeMilliseconds, limits.maxPerDay,
                limits.minInterval.wholeMilliseconds, continues ? 1 : 0,
            ])
        guard reply.count >= 4, let word = reply[0].string, link.align(reply, at: 1) != nil else {
            throw .malformed("the claim of an acquisition")
        }
        if word == "GRANTED" { return .granted }
        guard let milliseconds = reply[2].int else { throw .malformed("the claim of an acquisition") }
        let until = WallTime(milliseconds: milliseconds)
        switch word {
        case "UNDER_WAY": return .underWay(until: until)
        case "NOT_BEFORE": return .notBefore(until, reason: reply[3].string ?? "")
        case "USED_UP": return .usedUp(until: until)
        default: throw .malformed("the claim of an acquisition")
        }
    }

    public func finish(
        _ pool: PoolName, attempt: AttemptID, error: String?, retryAfter: Duration?
    ) async throws(StoreError) {
        _ = try await link.evaluate(
            ScriptLibrary.acquisitionFinish, keys: [link.keys.acquisition(pool)],
            arguments: [
                attempt.rawValue, error ?? "", error == nil ? "" : String((retryAfter ?? .zero).wholeMilliseconds),
            ])
    }
}
