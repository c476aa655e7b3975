/// Pools, as those who make calls meet them: pick, call, report, release.
///
/// ```swift
/// guard case .account(let pick) = try await pools.pick(request) else { … }
/// // …the call…
/// try await pools.report(PoolReport(
///     pool: pick.pool, account: pick.account, generation: pick.generation, outcome: .quota, lease: pick.lease))
/// if let lease = pick.lease { await pools.release(lease) }
/// ```
public protocol PoolPicking: Sendable {
    /// The token of an available account, refreshed before it is handed out where it has to be; never an empty or expired one.
    ///
    /// - Throws: ``PoolFailure`` when there is none, nor a configured one for the pool. It waits for a new account where the
    ///   pool acquires them, for a bounded time.
    func pick(_ request: PoolRequest) async throws(PoolFailure) -> PoolToken

    /// What became of a call. From the moment of the call this instance does not pick an account that cools down because of
    /// it, and the others do not as soon as they hear of it, which is announced before this returns. A refused token has
    /// been replaced then, or its account is put off; one that had replaced a refused one a moment ago stays (``RefusalDamper``).
    ///
    /// - Throws: ``PoolFailure`` for an unknown pool, or an account that is not in it. While the store is away a cool-down holds
    ///   for this instance.
    func report(_ report: PoolReport) async throws(PoolFailure)

    /// Whether the report tells the pool anything; one that is no news need not be made. From memory. A success is news where
    /// the account was tried before its cool-down was over, or an earlier one is remembered, which makes the next one longer,
    /// unless another success is being reported just now.
    func isNews(_ report: PoolReport) -> Bool

    /// Keeps the lease for as long as the call takes: until the calling task is cancelled, which is to be done before the
    /// release.
    func keep(_ lease: PoolLease) async

    /// The call is over. Never fails: a lease that cannot be released ends with its time.
    func release(_ lease: PoolLease) async
}
