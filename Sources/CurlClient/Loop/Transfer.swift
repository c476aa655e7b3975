import CCurl
import Synchronization

/// One exchange on its way through the loop: what all kinds of it have in common.
// @unchecked: `isCancelled` is atomic, `submitted` never changes, and all the rest belongs to the loop's thread, to which the
// mailbox's lock hands the transfer over. What subclasses share with other threads has locks.
class Transfer: @unchecked Sendable {
    enum BodyReception {
        case taken
        /// The bytes are not taken; libcurl keeps them and reads no more.
        case pause
        case abort
    }

    /// Why the time of a transfer is over.
    struct Lateness {
        var code: CurlError.Code
        var text: String
    }

    private(set) var request: CurlRequest
    let submitted: ContinuousClock.Instant
    /// Set by the cancelling task; the loop is told apart from that, through the mailbox.
    let isCancelled = Atomic<Bool>(false)

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
    }

    /// The handle has a copy of the body.
    func dropBody() { request.body = nil }

    // MARK: What the kinds differ in

    /// The request's body comes by ``supply(_:)``.
    var hasUpload: Bool { false }
    /// Anything of the response came back.
    var hasBegun: Bool { false }
    /// Not even a reused connection that ended under the first sending is a reason to send again.
    var mustNotBeSentAgain: Bool { request.singleSend }
    /// For the whole of it; nil = none.
    var deadline: ContinuousClock.Instant? { nil }
    /// When it has to have gone on, in the state it is in after sending; nil = it may take its time.
    var responseDeadline: ContinuousClock.Instant? { deadline }
    /// What to say when `responseDeadline` has passed.
    var responseLateness: Lateness { Lateness(code: .timeout, text: "no response in time") }

    /// Options beyond those of every request. The callbacks of the response are set.
    func prepare(_ easy: EasyHandle) {}
    func received(headerLine bytes: UnsafeRawBufferPointer) -> Bool { true }
    func received(body bytes: UnsafeRawBufferPointer) -> BodyReception { .taken }
    /// What libcurl's read callback returns.
    func supply(_ target: UnsafeMutableRawBufferPointer) -> Int { 0 }
    /// The next thing on the connection is the request.
    func isSending() {}
    /// The exchange is complete according to libcurl.
    func succeed(on easy: EasyHandle) {}
    func fail(_ error: CurlError) {}
    /// Another thread has something for the transfer. A reason to end it, if there is one.
    func attend() -> CurlError.Code? { nil }

    func fail(_ code: CurlError.Code, _ text: String, curlCode: Int32? = nil) {
        let origin = URLText.origin(of: request.url)
        fail(
            CurlError(
                code: code, unsent: !mayHaveLeft, message: "\(request.method) \(origin): \(text)", curlCode: curlCode))
    }
}

// Time.
extension Transfer {
    /// When it has to be over in the state it is in: sent or not.
    var currentDeadline: ContinuousClock.Instant? {
        guard !mayHaveLeft else { return responseDeadline }
        var due = submitted + request.connectTimeout
        if let deadline { due = min(due, deadline) }
        return request.sendBy.map { min($0, due) } ?? due
    }

    /// What to say when `currentDeadline` has passed.
    func lateness(at now: ContinuousClock.Instant) -> Lateness {
        if let sendBy = request.sendBy, now >= sendBy, !mayHaveLeft {
            return Lateness(
                code: .sendByMissed, text: "the instant to send by passed before a connection was ready")
        }
        guard mayHaveLeft else { return Lateness(code: .timeout, text: "no connection in time") }
        return responseLateness
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
        if sendings > 1, mustNotBeSentAgain { return stop(.receive) }
        mayHaveLeft = true
        isSending()
        return true
    }

    /// Notes the reason and is false: for callbacks to return.
    func stop(_ code: CurlError.Code) -> Bool {
        if abort == nil { abort = code }
        return false
    }
}
