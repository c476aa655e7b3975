extension CurlClient {
    /// Begins a streamed exchange and returns when the head of the final response is there, whatever its status.
    ///
    /// The body comes by ``CurlStream/next()``, with back-pressure. ``CurlRequest/totalTimeout`` does not apply, and
    /// ``CurlRequest/maxResponseBytes`` bounds heads and trailers only; see ``CurlStreamLimits``. Redirects are answers
    /// and are never followed. Streams go by HTTP/1.1: in libcurl 7.88 an HTTP/2 stream that is not read holds up all others of
    /// its connection. Nothing is sent that was not asked for but `Host` and what frames the body.
    ///
    /// While the response waits unread beyond its window, the upload waits as well.
    ///
    /// Cancelling the calling task ends the exchange at once.
    ///
    /// - Parameters:
    ///   - upload: the request's body, instead of ``CurlRequest/body``. Where the request fails or the stream ends before
    ///     it is written, its writer gets an error.
    ///   - informational: called with each 1xx head that comes before the final one, on the client's own thread: it must
    ///     neither block nor take long.
    /// - Throws: as ``execute(_:)`` does, and ``CurlError/Code/upload``.
    public func open(
        _ request: CurlRequest, upload: CurlUpload? = nil, limits: CurlStreamLimits = CurlStreamLimits(),
        informational: (@Sendable (CurlResponseHead) -> Void)? = nil
    ) async throws(CurlError) -> CurlStream {
        try request.validate()
        if upload != nil {
            guard request.body == nil, request.method != "HEAD" else {
                throw CurlError(
                    code: .invalidRequest, unsent: true,
                    message: "A request has one body, and HEAD has none: leave the upload out.")
            }
        }
        guard let loop else { throw Self.notStarted }
        let transfer = StreamTransfer(request, upload: upload, limits: limits, informational: informational)
        if let upload {
            guard upload.attach(nudge: { [weak transfer] in transfer.map(loop.nudge) }) else {
                throw CurlError(
                    code: .invalidRequest, unsent: true, message: "The upload belongs to another request already.")
            }
        }
        let opening = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.channel.open(continuation)
                loop.submit(transfer)
            }
        } onCancel: {
            loop.cancel(transfer)
        }
        return CurlStream(head: try opening.get(), transfer: transfer, loop: loop)
    }
}
