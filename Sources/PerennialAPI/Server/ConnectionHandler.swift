import NIOCore
import NIOHTTP1
import RefreshCore

/// Stands between the HTTP decoder and Hummingbird on every connection.
///
/// It answers plain token reads itself, as long as nothing before them on the connection is still being answered, and
/// hands everything else on untouched, in order. While such a read waits for its token, what comes behind it on the
/// connection is held back. It also looks after the connection: idle ones are closed, a caller
/// that sends faster than it reads is not read from, and `Connection: close` is honoured with a lingering close.
final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// How long the peer has to take the last response before the connection is torn down.
    private static let linger: TimeAmount = .seconds(2)

    private enum Request {
        case none
        /// Answered already or waiting for its token; its end is still to come.
        case ownRead
        case handedOn
    }

    private var warm: WarmRead
    private let outlet: RawOutlet
    private let idleTimeout: TimeAmount
    private var context: ChannelHandlerContext?
    /// The path of the read that waits for its token.
    private var awaited: String?
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
    private var idleCheck: Scheduled<Void>?

    init(warm: WarmRead, outlet: RawOutlet, idleTimeout: TimeAmount) {
        self.warm = warm
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
        context.fireChannelInactive()
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isActive = true
        read(unwrapInboundIn(data), context)
    }

    private func read(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        // Behind a read that waits; its own end is none of that.
        if awaited != nil, reading != .ownRead { return heldParts.append(part) }
        switch part {
        case .head(let head):
            // What follows a request that asked for the end of the connection is not read any more.
            guard !isClosing, !isLastRequest else { return }
            if answersItself(head, context) {
                reading = .ownRead
                return
            }
            isLastRequest = !head.isKeepAlive
            inFlight += 1
            reading = .handedOn
            handOn(part, context)
        case .body:
            if reading == .handedOn, !isClosing { handOn(part, context) }
        case .end:
            if reading == .handedOn, !isClosing { handOn(part, context) }
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
        let parts = heldParts
        heldParts = []
        for part in parts { read(part, context) }
        channelReadComplete(context: context)
        guard awaited == nil else { return }
        let events = heldEvents
        heldEvents = []
        for event in events { userInboundEventTriggered(context: context, event: event) }
        resumeReading(context)
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

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError, inFlight == 0, awaited == nil, !isClosing else {
            return context.fireErrorCaught(error)
        }
        var problem = Problem(.malformedRequest, "this is not HTTP/1.1 as RFC 9112 has it")
        if error == .headerOverflow { problem = Problem(.headersTooLarge, "send fewer or shorter headers") }
        let body = problem.body(instance: "")
        let reason = problem.status == 431 ? "Request Header Fields Too Large" : "Bad Request"
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
            }
        }
    }

    /// Ends the sending side and gives the peer time to read: closing at once over unread input would reset the
    /// connection and take the response with it (RFC 9112 §9.6).
    private func beginClosing(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        let channel = context.channel
        context.close(mode: .output, promise: nil)
        let lingering = context.eventLoop.scheduleTask(in: Self.linger) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in lingering.cancel() }
    }

    // MARK: Back-pressure and idleness

    func read(context: ChannelHandlerContext) {
        if isClosing || (awaited == nil && context.channel.isWritable) { context.read() } else { holdsRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        resumeReading(context)
        context.fireChannelWritabilityChanged()
    }

    private func resumeReading(_ context: ChannelHandlerContext) {
        guard holdsRead, awaited == nil, context.channel.isWritable else { return }
        holdsRead = false
        context.read()
    }

    /// Looks at the connection now and then instead of setting a timer anew with every request.
    private func scheduleIdleCheck(_ context: ChannelHandlerContext) {
        idleCheck = context.eventLoop.assumeIsolated().scheduleTask(in: idleTimeout) { [self] in
            // A request that has been received whole may wait for its refresh as long as that takes.
            let mayWait = (inFlight > 0 || awaited != nil) && reading != .handedOn && context.channel.isWritable
            if isActive || mayWait {
                isActive = false
                scheduleIdleCheck(context)
            } else {
                context.close(promise: nil)
            }
        }
    }
}
