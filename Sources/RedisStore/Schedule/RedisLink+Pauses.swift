import RedisClient
import RefreshCore

extension RedisLink {
    /// Writes a provider's pause, which SETTLE has put into one partition, into the others too: a throttled provider
    /// pauses all its accounts.
    ///
    /// A partition that cannot be written to goes without: its next refresh is throttled and says so again.
    func spreadPause(of request: SettleRequest, from partition: Int) async {
        let keys = keys
        guard let pause = request.pauseProvider, keys.partitions > 1 else { return }
        _ = await attemptEach((0..<keys.partitions).filter { $0 != partition }) {
            other throws(StoreError) -> ScriptReply in
            try await evaluate(
                ScriptLibrary.pause, keys: [keys.pauses(other)],
                arguments: [
                    request.provider.rawValue, pause.wholeMilliseconds, request.fault.kind.rawValue,
                    request.fault.message,
                ])
        }
    }
}
