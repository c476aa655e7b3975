import Gateway
import HTTPTypes
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1

/// One request on its way through the gateway: the connection's end of it.
///
/// ``ConnectionHandler`` puts in what it receives, and is called back on its event loop; the gateway reads and writes
/// from its task, which runs on that loop as well, so that nothing has to change threads on the way.
final class ForwardedCall: GatewayCaller {
    /// Bytes of the body that may wait here before the connection is not read any more.
    static let mostWaiting = 256 * 1024

    private struct State {
        var pieces: [ByteBuffer] = []
        var waiting = 0
        var isBodyComplete: Bool
        var fault: CallerFault?
        var reader: CheckedContinuation<Result<[UInt8]?, CallerFault>, Never>?
        var readerNumber = 0
        /// The reader whose time was over, maybe before it began to wait.
        var lateReader = 0
        var needsContinue: Bool
        /// The connection takes no more for now.
        var isBlocked = false
        var writer: CheckedContinuation<Void, Never>?
        var encoder = AnswerEncoder()
        /// Written and not yet handed to the connection.
        var output = ByteBuffer()
        var hasBegun = false
        /// The caller has been told that the connection ends.
        var hasAnnouncedClose = false
        var task: Task<Void, Never>?
    }

    let head: HTTPRequestHead
    let request: GatewayRequest
    /// Added to the head of a forwarded answer.
    private let shield: [HeaderField]
    private let closes: Bool
    private let loop: any EventLoop
    private let handler: NIOLoopBound<ConnectionHandler>
    private let state: NIOLockedValueBox<State>

    /// - Parameters:
    ///   - shield: is added to the head of a forwarded answer.
    ///   - closes: the connection ends with this request.
    init(
        _ head: HTTPRequestHead, check: RequestHeadCheck, isKeyInAuthorization: Bool, shield: [HeaderField],
        closes: Bool,
        handler: ConnectionHandler, loop: any EventLoop
    ) {
        self.head = head
        self.request = GatewayRequest(
            method: head.method.rawValue, target: head.uri, headers: check.headers, body: check.body,
            isKeyInAuthorization: isKeyInAuthorization)
        self.shield = shield
        self.closes = closes
        self.loop = loop
        self.handler = NIOLoopBound(handler, eventLoop: loop)
        let hasBody = check.body != .none && check.body != .length(0)
        state = NIOLockedValueBox(
            State(
                isBodyComplete: !hasBody, needsContinue: check.expectsContinue && hasBody && !head.version.isHTTP10))
    }

    /// Begins to serve it.
    func start(_ body: @escaping @Sendable (ForwardedCall) async -> Void, on executor: LoopExecutor) {
        let task = Task(executorPreference: executor) { await body(self) }
        let isGone = state.withLockedValue { state in
            state.task = task
            return state.fault == .gone
        }
        if isGone { task.cancel() }
    }

    var hasBegun: Bool { state.withLockedValue { $0.hasBegun } }

    /// Whether the connection ends with this answer.
    var endsConnection: Bool {
        closes || state.withLockedValue { $0.hasAnnouncedClose || $0.encoder.endsWithConnection }
    }

    /// Whether an answer that has begun looks complete wherever the connection ends.
    var endsWithConnection: Bool { state.withLockedValue { $0.encoder.endsWithConnection } }

    /// Whether no more of the body should be read for now.
    var isFull: Bool { state.withLockedValue { $0.waiting >= Self.mostWaiting } }

    // MARK: From the connection, on its loop

    func received(_ piece: ByteBuffer) {
        let reader = state.withLockedValue { state -> CheckedContinuation<Result<[UInt8]?, CallerFault>, Never>? in
            guard state.fault == nil, piece.readableBytes > 0 else { return nil }
            state.needsContinue = false
            if let reader = state.reader {
                state.reader = nil
                return reader
            }
            state.pieces.append(piece)
            state.waiting += piece.readableBytes
            return nil
        }
        reader?.resume(returning: .success(Array(piece.readableBytesView)))
    }

    func receivedEnd() {
        let reader = state.withLockedValue { state in
            state.isBodyComplete = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: .success(nil))
    }

    /// The rest of the body cannot be read.
    func bodyFailed() { fail(.malformed, cancels: false) }

    /// Nobody is there any more.
    func isGone() { fail(.gone, cancels: true) }

    func writabilityChanged(_ isWritable: Bool) {
        let writer = state.withLockedValue { state in
            state.isBlocked = !isWritable
            guard isWritable else { return nil as CheckedContinuation<Void, Never>? }
            defer { state.writer = nil }
            return state.writer
        }
        writer?.resume()
    }

    private func fail(_ fault: CallerFault, cancels: Bool) {
        let (reader, writer, task) = state.withLockedValue { state in
            state.fault = state.fault == .gone ? .gone : fault
            defer {
                state.reader = nil
                if cancels { state.writer = nil }
            }
            return (state.reader, cancels ? state.writer : nil, cancels ? state.task : nil)
        }
        reader?.resume(returning: .failure(fault))
        writer?.resume()
        task?.cancel()
    }

    // MARK: The request's body

    func readBody(within limit: Duration) async throws(CallerFault) -> [UInt8]? {
        enum Now {
            case result(Result<[UInt8]?, CallerFault>)
            case wait(continues: Bool)
        }
        let now: Now = state.withLockedValue { state in
            if !state.pieces.isEmpty {
                let piece = state.pieces.count == 1 ? state.pieces[0] : Self.joined(state.pieces)
                state.pieces.removeAll(keepingCapacity: true)
                state.waiting = 0
                return .result(.success(Array(piece.readableBytesView)))
            }
            if let fault = state.fault { return .result(.failure(fault)) }
            if state.isBodyComplete { return .result(.success(nil)) }
            defer { state.needsContinue = false }
            return .wait(continues: state.needsContinue)
        }
        switch now {
        case .result(let result):
            onLoop { $0.bodyWasRead() }
            return try result.get()
        case .wait(let continues):
            if continues {
                onLoop { handler in
                    // In the midst of an answer it would be a part of it.
                    guard !self.hasBegun else { return }
                    handler.forward(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n"), flushes: true)
                }
            }
            return try await nextPiece(within: limit).get()
        }
    }

    private func nextPiece(within limit: Duration) async -> Result<[UInt8]?, CallerFault> {
        let number = state.withLockedValue { state in
            state.readerNumber += 1
            return state.readerNumber
        }
        let timer = loop.scheduleTask(in: TimeAmount(limit)) { self.give(up: number, .slow) }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let result: Result<[UInt8]?, CallerFault>? = state.withLockedValue { state in
                    // Anything may have come since the look before.
                    if !state.pieces.isEmpty {
                        let piece = Self.joined(state.pieces)
                        state.pieces.removeAll(keepingCapacity: true)
                        state.waiting = 0
                        return .success(Array(piece.readableBytesView))
                    }
                    if let fault = state.fault { return .failure(fault) }
                    if state.isBodyComplete { return .success(nil) }
                    if Task.isCancelled { return .failure(.gone) }
                    if state.lateReader == number { return .failure(.slow) }
                    state.reader = continuation
                    return nil
                }
                if let result { continuation.resume(returning: result) }
                onLoop { $0.bodyWasRead() }
            }
        } onCancel: {
            give(up: number, .gone)
        }
    }

    private func give(up number: Int, _ fault: CallerFault) {
        let reader = state.withLockedValue { state in
            guard state.readerNumber == number else {
                return nil as CheckedContinuation<Result<[UInt8]?, CallerFault>, Never>?
            }
            if fault == .slow { state.lateReader = number }
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: .failure(fault))
    }

    private static func joined(_ pieces: [ByteBuffer]) -> ByteBuffer {
        var all = ByteBuffer()
        all.reserveCapacity(pieces.reduce(0) { $0 + $1.readableBytes })
        for piece in pieces { all.writeImmutableBuffer(piece) }
        return all
    }

    // MARK: The answer

    func inform(_ head: GatewayAnswerHead) {
        // Clients of HTTP/1.0 know no 1xx (RFC 9110 §15.2).
        guard !self.head.version.isHTTP10 else { return }
        var buffer = ByteBuffer()
        AnswerEncoder.informational(head, into: &buffer)
        let output = buffer
        onLoop { handler in
            // It comes from another thread: the answer itself may have overtaken it.
            guard !self.hasBegun else { return }
            handler.forward(output, flushes: true)
        }
    }

    func begin(_ head: GatewayAnswerHead, framing: AnswerFraming) async throws(CallerFault) {
        let isHTTP10 = self.head.version.isHTTP10
        try checkPresence()
        var head = head
        head.headers += shield
        state.withLockedValue { state in
            state.hasBegun = true
            // A caller that is not read to the end has to know that the connection ends.
            let closes = closes || !state.isBodyComplete
            state.hasAnnouncedClose = closes
            state.encoder.head(head, framing: framing, isHTTP10: isHTTP10, closes: closes, into: &state.output)
        }
    }

    func write(_ bytes: [UInt8], flushes: Bool) async throws(CallerFault) {
        try checkPresence()
        state.withLockedValue { $0.encoder.body(bytes, into: &$0.output) }
        guard flushes else { return }
        flush()
        guard state.withLockedValue({ $0.isBlocked }) else { return }
        await withCheckedContinuation { continuation in
            let waits = state.withLockedValue { state in
                guard state.isBlocked, state.fault != .gone else { return false }
                state.writer = continuation
                return true
            }
            if !waits { continuation.resume() }
        }
    }

    func flush() {
        onLoop { $0.forward(self.takeOutput(), flushes: true) }
    }

    func end(trailers: [HeaderField]) async throws(CallerFault) {
        try checkPresence()
        state.withLockedValue { $0.encoder.end(trailers: trailers, into: &$0.output) }
        onLoop { handler in
            handler.forward(self.takeOutput(), flushes: true)
            handler.forwardingEnded(self, isComplete: true)
        }
    }

    /// Answers with one whole message.
    func answer(_ response: RenderedResponse) {
        state.withLockedValue { state in
            state.hasBegun = true
            var head = GatewayAnswerHead(
                status: response.status.code, reason: HTTPResponseStatus(statusCode: response.status.code).reasonPhrase,
                headers: response.headers.map { (name: $0.name.rawName, value: $0.value) })
            let closes = closes || !state.isBodyComplete
            state.hasAnnouncedClose = closes
            if closes { head.headers.removeAll { $0.name.utf8.isEqualIgnoringCase("connection") } }
            let body = response.body ?? []
            state.encoder.head(
                head, framing: .length(Int64(body.count)), isHTTP10: self.head.version.isHTTP10, closes: closes,
                into: &state.output)
            // HEAD has the head of the answer that GET would get (RFC 9110 §9.3.2).
            if self.head.method != .HEAD { state.encoder.body(body, into: &state.output) }
        }
        onLoop { handler in
            handler.forward(self.takeOutput(), flushes: true)
            handler.forwardingEnded(self, isComplete: true)
        }
    }

    /// There is no whole answer: the connection ends, so that what has been sent cannot be taken for one.
    func abort() {
        onLoop { $0.forwardingEnded(self, isComplete: false) }
    }

    private func checkPresence() throws(CallerFault) {
        if state.withLockedValue({ $0.fault == .gone }) { throw .gone }
    }

    private func takeOutput() -> ByteBuffer {
        state.withLockedValue { state in
            let output = state.output
            state.output = ByteBuffer()
            return output
        }
    }

    private func onLoop(_ body: @escaping @Sendable (ConnectionHandler) -> Void) {
        if loop.inEventLoop {
            body(handler.value)
        } else {
            loop.execute { body(self.handler.value) }
        }
    }
}

extension HTTPVersion {
    /// Before chunks, 1xx and connections that stay; the parser takes no other major version.
    var isHTTP10: Bool { minor == 0 }
}
