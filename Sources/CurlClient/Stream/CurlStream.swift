/// A response whose head is there and whose body comes piece by piece, as it is asked for.
///
/// It is read by one task. The body is what the server sent, without its chunking and otherwise untouched: nothing is
/// decompressed. A stream that is dropped before its end closes the call to the server, as ``cancel()`` does.
public final class CurlStream: Sendable {
    /// The final response's. A `Content-Length` beside a `Transfer-Encoding` has been removed (RFC 9112 §6.3).
    public let head: CurlResponseHead

    let transfer: StreamTransfer
    private let loop: CurlLoop

    init(head: CurlResponseHead, transfer: StreamTransfer, loop: CurlLoop) {
        self.head = head
        self.transfer = transfer
        self.loop = loop
    }

    deinit {
        cancel()
    }

    /// What has come since the last call, never empty; nil at the complete end of the response. Suspends only when
    /// nothing is there.
    ///
    /// What came before a failure is given out first. Cancelling the calling task is like ``cancel()``.
    ///
    /// - Throws: ``CurlError/Code/truncated`` where the server ended the response early, ``CurlError/Code/timeout``
    ///   at a limit of ``CurlStreamLimits``, ``CurlError/Code/cancelled``, ``CurlError/Code/shutDown``.
    public func next() async throws(CurlError) -> [UInt8]? {
        if let outcome = there() { return try outcome.get() }
        return try await wait().get()
    }

    /// As ``next()``, but waits no longer than `limit`. What comes later is there for the next call.
    ///
    /// - Returns: empty where nothing came in time.
    public func next(within limit: Duration) async throws(CurlError) -> [UInt8]? {
        if let outcome = there() { return try outcome.get() }
        let channel = transfer.channel
        let number = channel.nextWait
        let timer = Task {
            guard (try? await Task.sleep(for: limit, clock: .continuous)) != nil else { return }
            channel.giveUp(wait: number)
        }
        defer { timer.cancel() }
        return try await wait().get()
    }

    /// What need not be waited for.
    private func there() -> StreamChannel.Outcome? {
        if Task.isCancelled { cancel() }
        switch transfer.channel.take() {
        case .bytes(let bytes, let resumes):
            if resumes { loop.nudge(transfer) }
            return .success(bytes)
        case .ended(let result): return result
        case .nothing: return nil
        }
    }

    private func wait() async -> StreamChannel.Outcome {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if transfer.channel.wait(continuation) { loop.nudge(transfer) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// The trailer section (RFC 9110 §6.5), in order; complete when ``next()`` has given nil.
    public var trailers: [(name: String, value: String)] { transfer.channel.trailers }

    /// Closes the call to the server at once; a reader gets ``CurlError/Code/cancelled``. Does nothing after the end.
    public func cancel() {
        if transfer.channel.cancel() { loop.cancel(transfer) }
    }
}
