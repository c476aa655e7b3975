import CCurl
import Synchronization

/// An exchange whose response is handed over piece by piece, and whose request's body may be as well.
// @unchecked: `channel` and `upload` have locks, `bytesKept` is atomic, `limits` and `informational` never change; for the rest see Transfer.
final class StreamTransfer: Transfer, @unchecked Sendable {
    let channel: StreamChannel
    private let upload: CurlUpload?
    private let limits: CurlStreamLimits
    private let informational: (@Sendable (CurlResponseHead) -> Void)?
    /// Takes down who has something to deliver after this round; set when the loop starts the transfer.
    var desk: NewsDesk?
    /// By the desk.
    var isListed = false

    /// Of the request's body, in case that it has to be sent again.
    let bytesKept = Atomic<Int>(0)

    private var reader = HeadReader()
    private var headBytes = 0
    private var finalStatus: Int?
    private var uploadBegan = false
    private var isReceivingPaused = false
    private var isSendingPaused = false
    /// Since when the server, or the writer of the upload, is waited for; later by this round if `hasProgress`.
    private var lastProgress: ContinuousClock.Instant
    private var hasProgress = false

    init(
        _ request: CurlRequest, upload: CurlUpload?, limits: CurlStreamLimits,
        informational: (@Sendable (CurlResponseHead) -> Void)?
    ) {
        self.upload = upload
        self.limits = limits
        self.informational = informational
        channel = StreamChannel(window: limits.window)
        lastProgress = .now
        super.init(request)
    }

    override var hasUpload: Bool { upload != nil }
    override var hasBegun: Bool { headBytes > 0 }
    override var mustNotBeSentAgain: Bool { request.singleSend || uploadBegan }

    override func prepare(_ easy: EasyHandle) {
        easy.prepareStream(request, uploadLength: upload.map(\.length))
        bytesKept.store(request.body?.count ?? 0, ordering: .relaxed)
        dropBody()
    }

    // MARK: Time

    override var deadline: ContinuousClock.Instant? {
        let opening = finalStatus == nil ? limits.opening : nil
        return [limits.total, opening].compactMap { $0 }.min().map { submitted + $0 }
    }

    override var responseDeadline: ContinuousClock.Instant? {
        // Held up by the reader here: the server is not to blame.
        guard !isReceivingPaused else { return deadline }
        let due = lastProgress + (finalStatus != nil || isSendingPaused ? limits.idle : limits.head)
        return deadline.map { min($0, due) } ?? due
    }

    override var responseLateness: Lateness {
        if let deadline, .now >= deadline {
            let what = finalStatus == nil ? "the response's head took" : "the exchange took"
            return Lateness(code: .timeout, text: "\(what) longer than it may in all")
        }
        if isSendingPaused {
            return Lateness(code: .upload, text: "the rest of the request's body did not come in time")
        }
        return Lateness(
            code: .timeout,
            text: finalStatus != nil ? "nothing more of the response came in time" : "no response in time")
    }

    private func noteProgress() {
        hasProgress = true
        desk?.add(self)
    }

    // MARK: Called by libcurl

    override func isSending() {
        isReceivingPaused = false
        isSendingPaused = false
        noteProgress()
    }

    override func received(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        headBytes += bytes.count
        guard headBytes <= request.maxResponseBytes else { return stop(.responseTooLarge) }
        // Usually one line; trailers that came while the transfer was paused come in one piece.
        var rest = bytes[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: 0x0A).map { $0 + 1 } ?? rest.endIndex
            if case .head(let head) = reader.take(line: rest[..<end]), !arrived(head) { return false }
            rest = rest[end...]
        }
        return true
    }

    private func arrived(_ head: CurlResponseHead) -> Bool {
        guard head.status >= 200 else {
            // Nobody asked for another protocol, and what follows would not be HTTP.
            guard head.status != 101 else { return stop(.receive) }
            informational?(head)
            return true
        }
        guard let head = ResponseFraming.checked(head) else { return stop(.receive) }
        finalStatus = head.status
        reader.expectsTrailersOnly = true
        if easy?.dropSentBody() == true { bytesKept.store(0, ordering: .relaxed) }
        channel.arrived(head)
        noteProgress()
        return true
    }

    override func received(body bytes: UnsafeRawBufferPointer) -> BodyReception {
        guard finalStatus != nil else { return stop(.receive) ? .taken : .abort }
        noteProgress()
        if channel.arrived(bytes) { return .taken }
        isReceivingPaused = true
        return .pause
    }

    override func supply(_ target: UnsafeMutableRawBufferPointer) -> Int {
        isSendingPaused = false
        noteProgress()
        switch upload?.take(into: target) {
        case .bytes(let count):
            uploadBegan = true
            return count
        case .starved:
            isSendingPaused = true
            return Int(CURL_READFUNC_PAUSE)
        case .failed:
            _ = stop(.upload)
            return Int(CURL_READFUNC_ABORT)
        case .finished, nil:
            return 0
        }
    }

    // MARK: Called by the loop

    override func attend() -> CurlError.Code? {
        upload?.failure == nil ? goOn() : .upload
    }

    /// Tells those who wait what there is to tell, after a round of libcurl. A reason to end it, as above.
    func deliver(_ now: ContinuousClock.Instant) -> CurlError.Code? {
        if hasProgress { lastProgress = now }
        hasProgress = false
        upload?.releaseWriter()
        return channel.deliver() || isRefused ? goOn() : nil
    }

    /// libcurl sends no more of a body to a server that has refused it, but 7.88 forgets to lift the pause.
    private var isRefused: Bool { isSendingPaused && (finalStatus ?? 0) >= 300 }

    /// Lifts the pauses that nobody needs any more.
    ///
    /// While receiving stays paused sending does as well: each call of curl_easy_pause makes libcurl 7.88 read once
    /// from the socket, and keep what it reads, even if reading is paused.
    private func goOn() -> CurlError.Code? {
        guard let easy else { return nil }
        let receives = isReceivingPaused && !channel.isHeldUp
        let sends =
            isSendingPaused && (upload?.isStarved == false || isRefused) && (receives || !isReceivingPaused)
        guard receives || sends else { return nil }
        if receives { isReceivingPaused = false }
        if sends { isSendingPaused = false }
        noteProgress()
        // Callbacks may come before this returns, and pause again.
        let code = ccurl_pause(easy.raw, Int32(isSendingPaused ? CURLPAUSE_SEND : CURLPAUSE_CONT))
        // Without a connection (libcurl is about to send again on another one) there is nothing to lift.
        return code == 0 || code == Int32(CURLE_BAD_FUNCTION_ARGUMENT.rawValue) ? nil : abort ?? .other
    }

    override func succeed(on easy: EasyHandle) {
        // libcurl takes a connection that ends within the headers for the end of the response.
        guard finalStatus != nil else { return fail(.truncated, "the response ended within its headers") }
        channel.ended(.success(reader.trailers))
        upload?.end(nil)
        over()
    }

    override func fail(_ error: CurlError) {
        channel.ended(.failure(error), dropsBuffer: error.code == .cancelled || error.code == .shutDown)
        upload?.end(error)
        over()
    }

    private func over() {
        if let desk {
            desk.add(self)
        } else {
            // Never started, and perhaps on another thread.
            _ = channel.deliver()
        }
    }
}
