/// An HTTP client on libcurl: one thread, one multi handle, connections kept alive and multiplexed.
///
/// It follows no environment: no proxies, no netrc, no cookies; compression is not asked for. It has to be shut down
/// with ``shutdown()``: a client that is merely dropped keeps its thread and its connections.
public final class CurlClient: Sendable {
    let loop: CurlLoop?

    public init(configuration: CurlClientConfiguration = CurlClientConfiguration()) {
        loop = CurlLoop(configuration)
    }

    /// Makes one exchange. Returns for every complete response, whatever its status. For bodies that are large or have no
    /// end see ``open(_:upload:limits:informational:)``.
    ///
    /// Cancelling the calling task ends it at once, with ``CurlError/Code/cancelled``; ``CurlError/unsent`` then says
    /// whether the request may have left before.
    public func execute(_ request: CurlRequest) async throws(CurlError) -> CurlResponse {
        try request.validate()
        guard let loop else { throw Self.notStarted }
        let transfer = ExchangeTransfer(request)
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.continuation = continuation
                loop.submit(transfer)
            }
        } onCancel: {
            loop.cancel(transfer)
        }
        return try outcome.get()
    }

    /// Ends all transfers under way with ``CurlError/Code/shutDown``, closes the connections and ends the thread;
    /// returns when that is done. Later requests fail likewise. May be called more than once.
    public func shutdown() async {
        await loop?.shutDown()
    }

    static let notStarted = CurlError(
        code: .other, unsent: true, message: "libcurl or its thread could not be started.")
}
