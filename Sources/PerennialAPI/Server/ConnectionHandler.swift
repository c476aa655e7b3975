import NIOCore
import NIOHTTP1
import RefreshCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Stands between the HTTP decoder and Hummingbird on every connection.
///
/// It answers plain token reads itself, as long as nothing before them on the connection is still being answered, gives
/// calls of the gateway to their ``ForwardedCall``, and hands everything else on untouched, in order. While such a read
/// waits for its token, or a call for its answer, what comes behind it on the connection is held back. It also looks after
/// the connection: idle ones are closed, a caller that sends faster than it reads is not read from, and `Connection: close`
/// is honoured with a lingering close.
final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// How long the connection stays after the last response has been sent, for the peer to read it.
    private static let linger: TimeAmount = .seconds(2)
    /// How long a call of the gateway may go on when the instance is shut down.
    private static let drain: TimeAmount = .seconds(20)

    private enum Request {
        case none
        /// Answered already or waiting for its token; its end is still to come.
        case ownRead
        case handedOn
        case forwarded
    }

    private var warm: WarmRead
    /// Nil where no routes are configured.
    private let gateway: GatewayMount?
    private let outlet: RawOutlet
    private let idleTimeout: TimeAmount
    private var context: ChannelHandlerContext?
    /// The path of the read that waits for its token.
    private var awaited: String?
    /// The call that the gateway is answering.
    private var forwarded: ForwardedCall?
    /// A call that came while Hummingbird had something to answer is among the held parts.
    private var waitsForTurn = false
    private var loopExecutor: LoopExecutor?
    private var heldParts: [HTTPServerRequestPart] = []
    private var heldEvents: [Any] = []
    private var reading = Request.none
    /// Requests that Hummingbird has and has not answered.
    private var inFlight = 0
    private var isLastRequest = false
    private var closesAfterResponse = false
    private var isClosing = false
    private var needsFlush = false
    private var hasHandedOn = false
    private var holdsRead = false
    private var isActive = true
    /// Bytes that waited to be sent when the connection was last looked at.
    private var unsent = 0
    private var idleCheck: Scheduled<Void>?

    init(warm: WarmRead, gateway: GatewayMount?, outlet: RawOutlet, idleTimeout: TimeAmount) {
        self.warm = warm
        self.gateway = gateway
        self.outlet = outlet
        self.idleTimeout = idleTimeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        scheduleIdleCheck(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        idleCheck = nil
        forwarded?.isGone()
        forwarded = nil
        context.fireChannelInactive()
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isActive = true
        read(unwrapInboundIn(data), context)
    }

    private func read(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        // Behind a request that waits; what is still to come of itself is none of that.
        if awaited != nil, reading != .ownRead { return heldParts.append(part) }
        if waitsForTurn || (forwarded != nil && reading != .forwarded) { return heldParts.append(part) }
        switch part {
        case .head(let head):
            // What follows a request that asked for the end of the connection is not read any more.
            guard !isClosing, !isLastRequest else { return }
            if let gateway, gateway.takes(head) {
                if inFlight > 0 {
                    waitsForTurn = true
                    heldParts.append(part)
                } else {
                    forward(head, gateway, context)
                }
                return
            }
            if answersItself(head, context) {
                reading = .ownRead
                return
            }
            isLastRequest = !head.isKeepAlive
            inFlight += 1
            reading = .handedOn
            handOn(part, context)
        case .body(let piece):
            if reading == .handedOn, !isClosing { handOn(part, context) }
            if reading == .forwarded { forwarded?.received(piece) }
        case .end:
            if reading == .handedOn, !isClosing { handOn(part, context) }
            if reading == .forwarded { forwarded?.receivedEnd() }
            reading = .none
        }
    }

    private func answersItself(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) -> Bool {
        // Only over a connection that takes what it is given: Hummingbird's way waits, this one cannot.
        guard inFlight == 0, head.isKeepAlive, context.channel.isWritable else { return false }
        switch warm.answer(head) {
        case .answered(let response):
            outlet.write(response)
            needsFlush = true
            return true
        case .waits(let account):
            awaited = head.uri
            warm.join(account, self, on: context.eventLoop)
            return true
        case .declined: return false
        }
    }

    /// Sends the answer to the read that waits and goes on with what came behind it.
    func deliver(_ answer: SharedAnswer) {
        guard let context, let path = awaited else { return }
        awaited = nil
        isActive = true
        warm.log(path, status: answer.status)
        outlet.write(answer.bytes)
        needsFlush = true
        goOn(context)
    }

    /// Reads what has been held back behind a request that has its answer now.
    private func goOn(_ context: ChannelHandlerContext) {
        let parts = heldParts
        heldParts = []
        for part in parts { read(part, context) }
        channelReadComplete(context: context)
        guard awaited == nil, forwarded == nil, !isClosing else { return resumeReading(context) }
        let events = heldEvents
        heldEvents = []
        for event in events { userInboundEventTriggered(context: context, event: event) }
        resumeReading(context)
    }

    // MARK: Calls of the gateway

    private func forward(_ head: HTTPRequestHead, _ gateway: GatewayMount, _ context: ChannelHandlerContext) {
        // A parser that has seen an upgrade reads nothing more (the rest would be of another protocol).
        isLastRequest = !head.isKeepAlive || head.version.isHTTP10 || head.headers.contains(name: "upgrade")
        do throws(Problem) {
            let check = try RequestHeadCheck(head, isLocalSocket: gateway.responder.isLocalSocket)
            let call = ForwardedCall(
                head, check: check, isKeyInAuthorization: gateway.isKeyInAuthorization(check.evidence),
                shield: gateway.shield(check.evidence), closes: isLastRequest, handler: self, loop: context.eventLoop)
            let executor = loopExecutor ?? LoopExecutor(context.eventLoop)
            loopExecutor = executor
            forwarded = call
            reading = .forwarded
            if !context.channel.isWritable { call.writabilityChanged(false) }
            let evidence = check.evidence
            call.start({ await gateway.serve($0, evidence) }, on: executor)
        } catch {
            // Where its end is cannot be told, or does not matter any more.
            refuse(error, context)
        }
    }

    /// Sends bytes of the answer to the call that is forwarded.
    func forward(_ bytes: ByteBuffer, flushes: Bool) {
        guard context != nil, !isClosing else { return }
        isActive = true
        if bytes.readableBytes > 0 { outlet.write(bytes) }
        if flushes { outlet.flush() }
    }

    /// There is room for more of the request's body.
    func bodyWasRead() {
        guard let context else { return }
        resumeReading(context)
    }

    /// - Parameter isComplete: false where the answer has been cut short, and the caller has to notice.
    func forwardingEnded(_ call: ForwardedCall, isComplete: Bool) {
        guard let context, forwarded === call else { return }
        forwarded = nil
        guard isComplete else { return cut(call, context) }
        // What has not been read of the request would be taken for the next one.
        guard !call.endsConnection, !isLastRequest, reading != .forwarded else { return beginClosing(context) }
        goOn(context)
    }

    /// Ends the connection so that the caller does not take what it has for the whole answer.
    private func cut(_ call: ForwardedCall, _ context: ChannelHandlerContext) {
        // Where the end of the connection is that of the answer, only a reset tells (RFC 9112 §8). Unix sockets have none.
        if call.endsWithConnection, let options = context.channel as? any SocketOptionProvider {
            options.setSoLinger(.reset).whenFailure { _ in }
        }
        context.close(promise: nil)
    }

    private func handOn(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        hasHandedOn = true
        context.fireChannelRead(wrapInboundOut(part))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // One flush for all that came in at once.
        flushWarm()
        // Those behind have nothing to complete unless something was handed on.
        if hasHandedOn {
            hasHandedOn = false
            context.fireChannelReadComplete()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        flushWarm()
        if let forwarded {
            // Whether only this direction has ended or the caller is gone cannot be told: as nginx does, the latter.
            if case ChannelEvent.inputClosed = event {
                forwarded.isGone()
                return context.close(promise: nil)
            }
            if event is ChannelShouldQuiesceEvent { quiesce(context) }
            return heldEvents.append(event)
        }
        guard awaited == nil else { return heldEvents.append(event) }
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        // Hummingbird closes an idle connection on this: not before the warm responses are out.
        let promise = context.eventLoop.makePromise(of: Void.self)
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in
            loopBound.value.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        outlet.write(ByteBuffer(), promise: promise)
        outlet.flush()
    }

    /// The instance is being shut down: the call under way is the last one, and may not go on for ever.
    private func quiesce(_ context: ChannelHandlerContext) {
        isLastRequest = true
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.drain) { [self, forwarded] in
            guard let forwarded, forwarded === self.forwarded else { return }
            forwarded.isGone()
            cut(forwarded, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let forwarded, error is HTTPParserError {
            isLastRequest = true
            // Of the call's own body, or of what comes behind it.
            if reading == .forwarded { forwarded.bodyFailed() }
            return
        }
        guard let error = error as? HTTPParserError, inFlight == 0, awaited == nil, !isClosing else {
            return context.fireErrorCaught(error)
        }
        var problem = Problem(.malformedRequest, "this is not HTTP/1.1 as RFC 9112 has it")
        if error == .headerOverflow { problem = Problem(.headersTooLarge, "send fewer or shorter headers") }
        refuse(problem, context)
    }

    /// Answers what cannot be read on behind it, and ends the connection.
    private func refuse(_ problem: Problem, _ context: ChannelHandlerContext) {
        let body = problem.body(instance: "")
        let reason = HTTPResponseStatus(statusCode: problem.status).reasonPhrase
        var response = ByteBuffer(
            string: "HTTP/1.1 \(problem.status) \(reason)\r\nContent-Type: application/problem+json\r\n"
                + "Connection: close\r\nContent-Length: \(body.count)\r\n\r\n")
        response.writeBytes(body)
        outlet.write(response)
        outlet.flush()
        beginClosing(context)
    }

    private func flushWarm() {
        guard needsFlush else { return }
        needsFlush = false
        outlet.flush()
    }

    // MARK: Responses

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        isActive = true
        switch unwrapOutboundIn(data) {
        case .head(var head):
            if isLastRequest, inFlight <= 1 {
                head.headers.replaceOrAdd(name: "Connection", value: "close")
                closesAfterResponse = true
                return context.write(wrapOutboundOut(.head(head)), promise: promise)
            }
            if head.headers[canonicalForm: "connection"].contains(where: { $0.utf8.isEqualIgnoringCase("close") }) {
                closesAfterResponse = true
            }
            context.write(data, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            inFlight = max(0, inFlight - 1)
            context.write(data, promise: promise)
            if closesAfterResponse {
                context.flush()
                beginClosing(context)
            } else if waitsForTurn, inFlight == 0 {
                // Not in the middle of somebody else's write.
                context.eventLoop.assumeIsolated().execute { [self] in
                    guard let context = self.context, waitsForTurn, inFlight == 0 else { return }
                    waitsForTurn = false
                    goOn(context)
                }
            }
        }
    }

    /// Ends the sending side and gives the peer time to read: closing at once over unread input would reset the
    /// connection and take the response with it (RFC 9112 §9.6).
    private func beginClosing(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        let channel = context.channel
        // Once all is sent: a caller that reads slowly gets the whole response. One that does not read at all is idle.
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.whenComplete { _ in
            let lingering = channel.eventLoop.scheduleTask(in: Self.linger) { channel.close(promise: nil) }
            channel.closeFuture.whenComplete { _ in lingering.cancel() }
        }
        context.close(mode: .output, promise: sent)
    }

    // MARK: Back-pressure and idleness

    func read(context: ChannelHandlerContext) {
        if isClosing || mayRead(context) { context.read() } else { holdsRead = true }
    }

    private func mayRead(_ context: ChannelHandlerContext) -> Bool {
        // Behind a call one piece is read, so that its caller's going is noticed.
        awaited == nil && !waitsForTurn && context.channel.isWritable && heldParts.isEmpty
            && forwarded?.isFull != true
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isActive = true
        forwarded?.writabilityChanged(context.channel.isWritable)
        resumeReading(context)
        context.fireChannelWritabilityChanged()
    }

    private func resumeReading(_ context: ChannelHandlerContext) {
        guard holdsRead, mayRead(context) else { return }
        holdsRead = false
        context.read()
    }

    /// Looks at the connection now and then instead of setting a timer anew with every request.
    private func scheduleIdleCheck(_ context: ChannelHandlerContext) {
        idleCheck = context.eventLoop.assumeIsolated().scheduleTask(in: idleTimeout) { [self] in
            // A request that has been received whole may wait for its refresh as long as that takes.
            // The body of a call has a time limit of its own.
            let isBusy = inFlight > 0 || awaited != nil || forwarded != nil
            let mayWait = isBusy && reading != .handedOn && context.channel.isWritable
            let left = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
            // A caller that reads slowly is not idle.
            let hasRead = left < unsent
            unsent = left
            if isActive || mayWait || hasRead {
                isActive = false
                scheduleIdleCheck(context)
            } else if let forwarded {
                cut(forwarded, context)
            } else {
                context.close(promise: nil)
            }
        }
    }
}

extension linger {
    /// Closing drops what has not been sent, and resets the connection (socket(7)).
    fileprivate static var reset: linger { linger(l_onoff: 1, l_linger: 0) }
}
