/// A settlement that the store did not take, kept until it does.
///
/// What it says of the account holds however late it comes: nobody else can have spent what its intent guards. What it
/// says of the provider was true when the exchange ended, and others have asked since.
public struct DeferredSettlement: Sendable, Hashable {
    private let original: SettleRequest
    private let since: MonotonicTime

    /// - Parameter now: when the exchange had ended.
    public init(_ request: SettleRequest, now: MonotonicTime) {
        original = request
        since = now
    }

    public var attempt: AttemptID { original.attempt }

    /// What to bring to the store at `now`: waits are shorter by what has passed, and the provider's health is left out,
    /// for it may be another by now, and may have been counted where only the reply was lost.
    public func request(at now: MonotonicTime) -> SettleRequest {
        var request = original
        let elapsed = max(now - since, .zero)
        request.retryAfter = max(request.retryAfter - elapsed, .zero)
        request.pauseProvider = request.pauseProvider.flatMap { $0 > elapsed ? $0 - elapsed : nil }
        request.health = .unknown
        return request
    }
}
