import RedisClient
import RefreshCore

// What BEGIN, COMMIT and SETTLE note of a provider in one partition concerns its accounts in all of them.
//
// A partition that cannot be written to goes without: its next refresh finds out by itself.
extension RedisLink {
    /// Failures that open the circuit breaker, its first and longest pause in ms, and the jitter.
    static func arguments(of request: SettleRequest) -> [any RedisArgument] {
        guard let breaker = request.circuitBreaker else { return ["", "", "", ""] }
        return [breaker.failures, breaker.base.wholeMilliseconds, breaker.cap.wholeMilliseconds, request.jitter]
    }

    /// The pause that SETTLE has written, and the failure or the answer that it has counted.
    func spread(_ request: SettleRequest, from partition: Int) async {
        let what =
            switch request.health {
            case .failing where request.circuitBreaker != nil: "failing"
            case .answering where request.followsFailures: "answering"
            default: "pause"
            }
        guard what != "pause" || request.pauseProvider != nil else { return }
        let noted: [any RedisArgument] = [
            request.provider.rawValue, what, request.pauseProvider.map { String($0.wholeMilliseconds) } ?? "",
            request.fault.kind.rawValue, request.fault.message, request.attempt.rawValue,
        ]
        await spread(from: partition, noted + Self.arguments(of: request))
    }

    /// A COMMIT has ended the failures of a provider.
    func spreadAnswer(_ provider: ProviderName, from partition: Int) async {
        await spread(from: partition, [provider.rawValue, "answering", "", "", "", "", "", "", "", ""])
    }

    /// A claim goes first after a pause of the circuit breaker.
    func spreadFirst(_ claim: RefreshClaim, lockTTL: Duration, from partition: Int) async {
        await spread(
            from: partition,
            [
                claim.account.provider.rawValue, "first", lockTTL.wholeMilliseconds, "", "", claim.attempt.rawValue, "",
                "", "", "",
            ], timeout: Self.firstPatience)
    }

    /// How long the others may take to know of the one that goes first: its claim has to be used within the send-by deadline.
    private static let firstPatience = Duration.milliseconds(500)

    private func spread(
        from partition: Int, _ arguments: [any RedisArgument], timeout: Duration? = nil
    ) async {
        let keys = keys
        guard keys.partitions > 1 else { return }
        _ = await attemptEach((0..<keys.partitions).filter { $0 != partition }) {
            other throws(StoreError) -> ScriptReply in
            try await evaluate(ScriptLibrary.pause, keys: [keys.pauses(other)], arguments: arguments, timeout: timeout)
        }
    }
}
