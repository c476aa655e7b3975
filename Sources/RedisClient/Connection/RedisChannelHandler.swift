import NIOCore
import NIOSSL

/// The event-loop side of one connection: decodes replies, keeps the reply queue, the deadlines and the liveness.
///
/// Runs on its channel's event loop only; ``RedisConnection`` is its face to other threads.
final class RedisChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Mode {
        case commands
        /// RESP2 subscriber: whatever arrives goes to the closure.
        case subscriber((RESPValue) -> Void)
    }

    private let decoder: RESPDecoder
    private let stallTimeout: TimeAmount
    private let pingInterval: TimeAmount
    private let counter: CommandCounter
    private let ended: EventLoopPromise<RedisError>
    private var queue: ReplyQueue<Completion<RESPValue>>
    private var mode = Mode.commands
    private var context: ChannelHandlerContext?
    private var endReason: RedisError?
    private var finishReason: RedisError?
    private var timer: (task: Scheduled<Void>, at: NIODeadline)?
    /// A subscriber's PING that no byte has answered yet.
    private var subscriberPingDeadline: NIODeadline?
    private var subscriberLastByteAt = NIODeadline.now()

    init(
        configuration: RedisConfiguration, counter: CommandCounter, ended: EventLoopPromise<RedisError>
    ) throws(RedisError) {
        decoder = try RESPDecoder(limits: configuration.limits)
        stallTimeout = TimeAmount(clamping: configuration.commandTimeout)
        pingInterval = TimeAmount(clamping: configuration.pingInterval)
        self.counter = counter
        self.ended = ended
        queue = ReplyQueue(limits: .init(stallTimeout: stallTimeout, pingInterval: pingInterval), now: .now())
    }

    // MARK: from RedisConnection

    /// Writes everything that gathered since the last turn of the loop with one flush.
    func submit(_ submissions: [RedisConnection.Submission]) {
        guard endReason == nil, finishReason == nil, let context else {
            let reason = endReason?.message ?? "the connection is closing"
            for submission in submissions {
                submission.waiter?.complete(.failure(RedisError(.unavailable, "Not sent: \(reason)")))
            }
            return
        }
        let now = NIODeadline.now()
        var batch: ByteBuffer?
        var names: [String] = []
        var wake = NIODeadline.distantFuture
        for submission in submissions {
            if let waiter = submission.waiter {
                guard waiter.begin() else { continue }
                let deadline = queue.sent(
                    waiter, pipelineOf: submission.pipelineOf, at: now, timeout: submission.timeout)
                wake = min(wake, deadline)
            }
            names.append(contentsOf: submission.names)
            if batch == nil {
                batch = submission.bytes
            } else {
                batch?.writeImmutableBuffer(submission.bytes)
            }
        }
        guard let batch else { return }
        counter.add(names)
        context.writeAndFlush(wrapOutboundOut(batch), promise: nil)
        schedule(at: wake)
    }

    /// From here on replies are not matched to commands any more.
    func enterSubscriberMode(_ receive: @escaping (RESPValue) -> Void) {
        mode = .subscriber(receive)
        subscriberLastByteAt = .now()
        schedule(at: .now() + pingInterval)
    }

    /// Takes nothing new, closes once every owed reply has arrived or its time is over. The first reason counts.
    func finish(_ reason: RedisError) {
        if finishReason == nil { finishReason = reason }
        finishIfNothingIsOwed()
    }

    private func finishIfNothingIsOwed() {
        if let finishReason, queue.isEmpty { end(finishReason) }
    }

    /// Closes the connection and tells everybody who waits. The first reason counts.
    func end(_ reason: RedisError) {
        guard endReason == nil else { return }
        endReason = reason
        timer?.task.cancel()
        timer = nil
        let lost = RedisError(
            reason.code == .protocolViolation ? .protocolViolation : .unknownOutcome,
            reason.code == .protocolViolation
                ? reason.message : "The command was sent, its reply is lost: \(reason.message)",
            underlying: reason.underlying
        )
        for waiter in queue.drain() { waiter.complete(.failure(lost)) }
        ended.succeed(reason)
        // Not awaited: with a silent TLS peer the closing handshake takes seconds.
        context?.close(promise: nil)
    }

    // MARK: ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(RedisError(.unavailable, "The connection to Redis was closed."))
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        schedule(at: .now() + pingInterval)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard endReason == nil else { return }
        let now = NIODeadline.now()
        queue.bytesReceived(at: now)
        subscriberLastByteAt = now
        subscriberPingDeadline = nil
        let buffer = unwrapInboundIn(data)
        do throws(RedisError) {
            try decoder.feed(buffer)
            while endReason == nil, let value = try decoder.next() { received(value) }
        } catch {
            end(error)
        }
        finishIfNothingIsOwed()
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let error = queue.partialError {
            end(RedisError(.unavailable, "Redis ended the connection: \(error)", serverError: error))
        } else {
            end(RedisError(.unavailable, "The server closed the connection."))
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(ConnectionFailure.describe(error))
    }

    // MARK: inside

    private func received(_ value: RESPValue) {
        if case .subscriber(let receive) = mode {
            receive(value)
            return
        }
        switch queue.received(value) {
        case .complete(let waiter, let value):
            waiter?.complete(.success(value))
        case .more:
            break
        case .unexpected:
            // Servers announce an error this way before they close: too many clients, a shutdown.
            if case .error(let error) = value {
                end(RedisError(.unavailable, "Redis ended the connection: \(error)", serverError: error))
            } else {
                end(
                    RedisError(
                        .protocolViolation,
                        "The peer sent a reply nobody asked for; the connection is closed. "
                            + "Check that the address is a Redis server's."))
            }
        }
    }

    private func schedule(at deadline: NIODeadline) {
        guard deadline < .distantFuture, endReason == nil, let context else { return }
        if let timer, timer.at <= deadline { return }
        timer?.task.cancel()
        timer = (context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.timerFired() }, deadline)
    }

    private func timerFired() {
        timer = nil
        guard endReason == nil else { return }
        if case .subscriber = mode {
            subscriberTick()
            return
        }
        let now = NIODeadline.now()
        let tick = queue.tick(at: now)
        for waiter in tick.expired {
            waiter.complete(.failure(RedisError(.timeout, "Redis did not answer before the command's deadline.")))
        }
        if tick.stalled {
            end(silence)
            return
        }
        if tick.ping {
            _ = queue.sent(nil, pipelineOf: nil, at: now, timeout: stallTimeout)
            writePing()
        }
        schedule(at: tick.next)
    }

    private func subscriberTick() {
        let now = NIODeadline.now()
        if let deadline = subscriberPingDeadline {
            if deadline <= now { end(silence) } else { schedule(at: deadline) }
            return
        }
        if subscriberLastByteAt + pingInterval <= now {
            subscriberPingDeadline = now + stallTimeout
            writePing()
            schedule(at: now + stallTimeout)
        } else {
            schedule(at: subscriberLastByteAt + pingInterval)
        }
    }

    private var silence: RedisError {
        RedisError(
            .unavailable, "Redis sent nothing for \(stallTimeout.nanoseconds / 1_000_000) ms; the connection is closed."
        )
    }

    private func writePing() {
        guard let context else { return }
        counter.add(CollectionOfOne("PING"))
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "*1\r\n$4\r\nPING\r\n")), promise: nil)
    }
}

extension RESPDecoder {
    func feed(_ buffer: ByteBuffer) throws(RedisError) {
        let result = buffer.withUnsafeReadableBytes { bytes -> Result<Void, RedisError> in
            do throws(RedisError) { return .success(try feed(bytes)) } catch { return .failure(error) }
        }
        try result.get()
    }
}
