import RefreshCore

/// One call to a pool over all its tries: which accounts are left out, which token has to be newer, and whether it goes on.
struct PoolTurn {
    let pool: PoolName
    private(set) var request: PoolRequest
    private(set) var lastError: (any Error)?
    /// Whether the body is to run again.
    private(set) var goesOn = false
    private var triesLeft: Int

    /// - Throws: ``PerennialError`` for what no pool can be called or no call can want.
    init(_ name: String, _ call: PerennialClient.PoolCall) throws(PerennialError) {
        do { pool = try PoolName(name) } catch { throw PerennialError(error) }
        try Self.check(call.dimension, "dimension", atMost: PoolRequest.maximumDimension)
        try Self.check(call.session, "session", atMost: PoolRequest.maximumSession)
        request = PoolRequest(
            pool: pool, dimension: call.dimension, session: call.session, minimumTTL: call.minimumTTL)
        triesLeft = max(1, call.mostTries)
    }

    private static func check(_ text: String?, _ what: String, atMost limit: Int) throws(PerennialError) {
        guard let text, !(1...limit).contains(text.utf8.count) else { return }
        throw PerennialError(
            .invalidArgument, "\(what) has \(text.utf8.count) bytes: 1 to \(limit) are allowed", remedy: .changeCall)
    }

    /// What a try has shown.
    ///
    /// - Parameter error: what the body has thrown; nil where the call went well.
    /// - Returns: what the pool is to be told if that is news to it.
    mutating func judge(_ error: (any Error)?, of pick: PoolPick, now: WallTime) -> PoolReport {
        triesLeft -= 1
        goesOn = false
        lastError = error
        var report = PoolReport(
            pool: pool, account: pick.account, generation: pick.generation, outcome: .ok,
            dimension: request.dimension, lease: pick.lease)
        guard let error else { return report }
        switch (error as? any TokenJudging)?.tokenVerdict ?? .none {
        case .none:
            report.outcome = .failed
            return report
        case .refused:
            report.outcome = .tokenRefused
            report.cause = "the token was refused"
            if request.refused.updateValue(pick.generation, forKey: pick.account) == nil {
                request.preferred = pick.account
            } else {
                // What is refused right after it was replaced has another reason than its age: no third token for this call.
                leaveOut(pick)
                goesOn = triesLeft > 0
                report.outcome = .failed
                return report
            }
        case .quotaExhausted(let wait):
            report.outcome = .quota
            report.cause = "the quota is used up"
            report.until = wait.map { now + $0 }
            leaveOut(pick)
        case .throttled(let wait):
            report.outcome = .throttled
            report.cause = "too many calls"
            report.until = wait.map { now + $0 }
            leaveOut(pick)
        }
        goesOn = triesLeft > 0
        return report
    }

    private mutating func leaveOut(_ pick: PoolPick) {
        request.excluded.insert(pick.account)
        request.preferred = nil
    }
}
