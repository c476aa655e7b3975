import CCurl
import Synchronization

/// One exchange on its way through the loop.
// @unchecked: `isCancelled` is atomic, `request` and the instants never change, `continuation` is set before the
// mailbox's lock hands the transfer over to the loop's thread, and all the rest belongs to that thread.
final class Transfer: @unchecked Sendable {
    typealias Outcome = Result<CurlResponse, CurlError>

    let request: CurlRequest
    let submitted: ContinuousClock.Instant
    /// Set by the cancelling task; the loop is told apart from that, through the mailbox.
    let isCancelled = Atomic<Bool>(false)
    var continuation: CheckedContinuation<Outcome, Never>?

    private(set) var collector: ResponseCollector
    private(set) var primaryIP: String?
    /// How often libcurl was about to send the request.
    private var sendings = 0
    /// The reason for which a callback stopped the transfer; libcurl itself only says "aborted by callback".
    private(set) var abort: CurlError.Code?
    /// False until libcurl was let go to send: until then the request cannot have left.
    private(set) var mayHaveLeft = false
    /// Where the transfer runs; nil before and after.
    var easy: EasyHandle?

    init(_ request: CurlRequest) {
        self.request = request
        self.submitted = .now
        self.collector = ResponseCollector(cap: request.maxResponseBytes)
    }

    var deadline: ContinuousClock.Instant { submitted + request.totalTimeout }

    /// When it has to be over in the state it is in: sent or not.
    var currentDeadline: ContinuousClock.Instant {
        guard !mayHaveLeft else { return deadline }
        let connected = min(submitted + request.connectTimeout, deadline)
        return request.sendBy.map { min($0, connected) } ?? connected
    }

    func finish(_ outcome: Outcome) {
        continuation?.resume(returning: outcome)
        continuation = nil
    }

    func finish(failing code: CurlError.Code, _ text: String, curlCode: Int32? = nil) {
        let origin = URLText.origin(of: request.url)
        finish(
            .failure(
                CurlError(
                    code: code, unsent: !mayHaveLeft, message: "\(request.method) \(origin): \(text)",
                    curlCode: curlCode)))
    }
}

// What libcurl calls, always on the loop's thread.
extension Transfer {
    /// The connection stands (tunnel and TLS included) and the request would go out next.
    func willSend(to address: String?) -> Bool {
        sendings += 1
        primaryIP = address
        if isCancelled.load(ordering: .relaxed) { return stop(.cancelled) }
        if let sendBy = request.sendBy, ContinuousClock.now > sendBy { return stop(.sendByMissed) }
        // libcurl asks a second time when it means to send again: because the reused connection ended under the first
        // sending, or the server refused the HTTP/2 stream.
        if request.singleSend, sendings > 1 { return stop(.receive) }
        mayHaveLeft = true
        return true
    }

    func received(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        collector.take(headerLine: bytes) || stop(.responseTooLarge)
    }

    func received(body bytes: UnsafeRawBufferPointer) -> Bool {
        collector.take(body: bytes) || stop(.responseTooLarge)
    }

    private func stop(_ code: CurlError.Code) -> Bool {
        if abort == nil { abort = code }
        return false
    }
}
