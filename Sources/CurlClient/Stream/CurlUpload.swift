import NIOConcurrencyHelpers

/// The body of one request, written piece by piece while the request is under way.
///
/// It is written by one task and belongs to one ``CurlClient/open(_:upload:limits:informational:)``. A request with an
/// upload that has begun to leave is never sent a second time.
public final class CurlUpload: Sendable {
    /// The length that was announced; nil = chunked (RFC 9112 §7.1).
    public let length: Int64?

    /// How many bytes may wait here before ``write(_:)`` suspends.
    private let window: Int

    private struct State {
        var pieces: [[UInt8]] = []
        /// The first piece that is not yet sent whole, and how much of it is.
        var first = 0
        var offset = 0
        var waiting = 0

        var written: Int64 = 0
        var taken: Int64 = 0
        var isFinished = false
        var failure: CurlError?

        /// libcurl found nothing to send and has to be told when there is something.
        var isStarved = false
        var writer: CheckedContinuation<CurlError?, Never>?
        var nudge: (@Sendable () -> Void)?
        var isUsed = false
    }

    private let state = NIOLockedValueBox(State())

    /// - Parameters:
    ///   - length: in bytes, 0 or more, sent as `Content-Length`; nil where it is not known, which is sent as
    ///     `Transfer-Encoding: chunked`.
    ///   - window: how many bytes may wait here unsent before ``write(_:)`` suspends. Default 256 KiB.
    public init(length: Int64?, window: Int = 256 << 10) {
        self.length = length.map { max(0, $0) }
        self.window = max(1, window)
    }

    /// How many bytes have been taken to be sent. 0 = none can have left, and the body can still be given to another
    /// request.
    public var bytesTaken: Int64 { state.withLockedValue { $0.taken } }

    /// Takes the bytes and suspends while more than the window waits.
    ///
    /// - Throws: ``CurlError/Code/cancelled`` when the calling task is cancelled, which does not end the request;
    ///   ``CurlError/Code/invalidRequest`` beyond the announced length and after ``finish()``; ``CurlError/Code/upload``
    ///   after ``fail()``, and where the server has answered without wanting the rest; otherwise what the request failed
    ///   with.
    public func write(_ bytes: [UInt8]) async throws(CurlError) {
        guard !bytes.isEmpty else { return }
        var nudge: (@Sendable () -> Void)?
        var isFull = false
        let failure = state.withLockedValue { state -> CurlError? in
            if let failure = refusal(of: bytes.count, state) { return failure }
            state.pieces.append(bytes)
            state.waiting += bytes.count
            state.written += Int64(bytes.count)
            isFull = state.waiting > window
            if state.isStarved { nudge = state.nudge }
            state.isStarved = false
            return nil
        }
        if let failure { throw failure }
        nudge?()
        guard isFull else { return }
        let ended = await withTaskCancellationHandler {
            await withCheckedContinuation { wait($0) }
        } onCancel: {
            stopWaiting()
        }
        if let ended { throw ended }
    }

    /// The body is complete. Short of the announced length it is as ``fail()``.
    public func finish() {
        let nudge: (@Sendable () -> Void)? = state.withLockedValue { state in
            guard !state.isFinished, state.failure == nil else { return nil }
            state.isFinished = true
            if let length, state.written < length {
                state.failure = Self.failed("the body ended after \(state.written) of \(length) bytes")
                return state.nudge
            }
            defer { state.isStarved = false }
            return state.isStarved ? state.nudge : nil
        }
        nudge?()
    }

    /// The rest of the body will not come: the request ends with ``CurlError/Code/upload`` and its connection is closed, so
    /// that the server cannot take what it has for the whole.
    public func fail() {
        let nudge: (@Sendable () -> Void)? = state.withLockedValue { state in
            guard !state.isFinished, state.failure == nil else { return nil }
            state.failure = Self.failed("the body was given up after \(state.written) bytes")
            return state.nudge
        }
        nudge?()
    }

    private func refusal(of count: Int, _ state: State) -> CurlError? {
        if let failure = state.failure { return failure }
        guard !state.isFinished else {
            return CurlError(code: .invalidRequest, unsent: false, message: "The body was finished before.")
        }
        guard let length, state.written + Int64(count) > length else { return nil }
        return CurlError(
            code: .invalidRequest, unsent: false,
            message: "The body is longer than the \(length) bytes that were announced.")
    }

    private enum Waiting {
        case over(CurlError?)
        case begun
    }

    private func wait(_ continuation: CheckedContinuation<CurlError?, Never>) {
        let waiting: Waiting = state.withLockedValue { state in
            if let failure = state.failure { return .over(failure) }
            guard state.waiting > window else { return .over(nil) }
            guard state.writer == nil else {
                return .over(
                    CurlError(code: .invalidRequest, unsent: false, message: "Two tasks write the same body."))
            }
            // The cancellation handler may have run before there was anything to wake.
            if Task.isCancelled { return .over(Self.cancelled) }
            state.writer = continuation
            return .begun
        }
        if case .over(let failure) = waiting { continuation.resume(returning: failure) }
    }

    private func stopWaiting() {
        let writer = state.withLockedValue { state in
            defer { state.writer = nil }
            return state.writer
        }
        writer?.resume(returning: Self.cancelled)
    }

    private static let cancelled = CurlError(
        code: .cancelled, unsent: false, message: "The task that wrote the body was cancelled.")

    private static func failed(_ text: String) -> CurlError {
        CurlError(code: .upload, unsent: false, message: "Request body: \(text).")
    }
}

// The side of the transfer, on the loop's thread.
extension CurlUpload {
    enum Supply {
        case bytes(Int)
        case finished
        /// Nothing is there; the nudge comes when there is.
        case starved
        case failed
    }

    /// False if another request has it already.
    func attach(nudge: @escaping @Sendable () -> Void) -> Bool {
        state.withLockedValue { state in
            guard !state.isUsed else { return false }
            state.isUsed = true
            state.nudge = nudge
            return true
        }
    }

    var failure: CurlError? { state.withLockedValue { $0.failure } }
    var isStarved: Bool { state.withLockedValue { $0.isStarved } }

    func take(into target: UnsafeMutableRawBufferPointer) -> Supply {
        state.withLockedValue { state in
            guard state.failure == nil else { return .failed }
            guard state.waiting > 0 else {
                if state.isFinished { return .finished }
                state.isStarved = true
                return .starved
            }
            var filled = 0
            while filled < target.count, state.first < state.pieces.count {
                let count = min(target.count - filled, state.pieces[state.first].count - state.offset)
                state.pieces[state.first].withUnsafeBytes { piece in
                    target[filled..<filled + count].copyBytes(from: piece[state.offset..<state.offset + count])
                }
                filled += count
                state.offset += count
                if state.offset == state.pieces[state.first].count {
                    state.pieces[state.first] = []
                    state.first += 1
                    state.offset = 0
                }
            }
            if state.first == state.pieces.count {
                state.pieces.removeAll(keepingCapacity: true)
                state.first = 0
            } else if state.first >= 64 {
                state.pieces.removeFirst(state.first)
                state.first = 0
            }
            state.waiting -= filled
            state.taken += Int64(filled)
            return .bytes(filled)
        }
    }

    /// Lets the writer go on where there is room again.
    func releaseWriter() {
        let writer: CheckedContinuation<CurlError?, Never>? = state.withLockedValue { state in
            guard state.waiting <= window else { return nil }
            defer { state.writer = nil }
            return state.writer
        }
        writer?.resume(returning: nil)
    }

    /// The transfer is over; nil if with a complete response.
    func end(_ failure: CurlError?) {
        let writer = state.withLockedValue { state in
            state.nudge = nil
            if state.failure == nil, !(state.isFinished && failure == nil) {
                state.failure = failure ?? Self.failed("the server has answered and takes no more of it")
            }
            state.pieces = []
            state.waiting = 0
            defer { state.writer = nil }
            return state.writer.map { ($0, state.failure) }
        }
        if let (writer, failure) = writer { writer.resume(returning: failure) }
    }
}
