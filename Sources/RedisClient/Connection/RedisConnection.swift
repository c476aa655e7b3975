import NIOConcurrencyHelpers
import NIOCore

/// One connection, usable from any thread. What is submitted in one turn of the event loop leaves in one write.
final class RedisConnection: Sendable {
    struct Submission: Sendable {
        var bytes: ByteBuffer
        var names: [String]
        /// Nil where no reply is matched: SUBSCRIBE on a subscriber connection.
        var waiter: Completion<RESPValue>?
        var pipelineOf: Int?
        var timeout: TimeAmount
    }

    private struct Outbox {
        var submissions: [Submission] = []
        var isScheduled = false
    }

    /// Where the connection leads.
    let endpoint: RedisEndpoint
    private let channel: any Channel
    private let counter: CommandCounter
    private let handler: NIOLoopBound<RedisChannelHandler>
    private let outbox = NIOLockedValueBox(Outbox())
    private let ended: EventLoopFuture<RedisError>

    /// Adds the handler to a new channel's pipeline. Call on the channel's event loop.
    init(
        channel: any Channel, endpoint: RedisEndpoint, configuration: RedisConfiguration, counter: CommandCounter
    ) throws {
        let promise = channel.eventLoop.makePromise(of: RedisError.self)
        let handler: RedisChannelHandler
        do throws(RedisError) {
            handler = try RedisChannelHandler(configuration: configuration, counter: counter, ended: promise)
        } catch {
            promise.succeed(error)
            throw error
        }
        self.endpoint = endpoint
        self.channel = channel
        self.counter = counter
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        ended = promise.futureResult
        do {
            try channel.pipeline.syncOperations.addHandler(handler)
        } catch {
            promise.succeed(RedisError(.unavailable, "The connection was closed while it was being made."))
            throw error
        }
    }

    /// Counts commands that a script has run.
    func count(_ names: [String]) { counter.add(names) }

    /// Sends one command; an error reply is returned as a value.
    func send(_ command: RedisCommand, timeout: Duration) async throws(RedisError) -> RESPValue {
        var bytes = ByteBuffer()
        try command.encode(into: &bytes)
        let waiter = try Completion<RESPValue>.forThisTask()
        enqueue(
            Submission(
                bytes: bytes, names: [command.name], waiter: waiter, pipelineOf: nil,
                timeout: TimeAmount(clamping: timeout)))
        return try await waiter.value()
    }

    /// Sends one command, with ASKING right before it where the server is importing the command's slot.
    func send(_ command: RedisCommand, asking: Bool, timeout: Duration) async throws(RedisError) -> RESPValue {
        guard asking else { return try await send(command, timeout: timeout) }
        return try await pipeline([.asking, command], timeout: timeout).last ?? .null
    }

    /// Sends commands in one write; their replies, error replies included, in the same order.
    func pipeline(_ commands: [RedisCommand], timeout: Duration) async throws(RedisError) -> [RESPValue] {
        guard !commands.isEmpty else { return [] }
        var bytes = ByteBuffer()
        for command in commands { try command.encode(into: &bytes) }
        let waiter = try Completion<RESPValue>.forThisTask()
        enqueue(
            Submission(
                bytes: bytes, names: commands.map(\.name), waiter: waiter, pipelineOf: commands.count,
                timeout: TimeAmount(clamping: timeout)))
        return try await waiter.value().array ?? []
    }

    /// Sends a command whose answer arrives as a push: SUBSCRIBE and UNSUBSCRIBE after ``enterSubscriberMode(_:)``.
    func post(_ command: RedisCommand) throws(RedisError) {
        var bytes = ByteBuffer()
        try command.encode(into: &bytes)
        enqueue(Submission(bytes: bytes, names: [command.name], waiter: nil, pipelineOf: nil, timeout: .zero))
    }

    /// From here on everything that arrives goes to `receive`, on the event loop.
    func enterSubscriberMode(_ receive: @escaping @Sendable (RESPValue) -> Void) async throws(RedisError) {
        do {
            try await channel.eventLoop.submit { self.handler.value.enterSubscriberMode(receive) }.get()
        } catch {
            throw ConnectionFailure.describe(error)
        }
    }

    /// Takes nothing new and closes as soon as every owed reply has come, at the latest at their deadlines.
    func finish(_ reason: RedisError = RedisError(.closed, "The Redis client has been shut down.")) {
        channel.eventLoop.execute { self.handler.value.finish(reason) }
    }

    /// Closes at once; what is in flight ends as ``RedisError/Code/unknownOutcome``.
    func close(_ reason: RedisError) {
        channel.eventLoop.execute { self.handler.value.end(reason) }
    }

    /// Waits until the connection has ended and says why.
    func end() async -> RedisError {
        do {
            return try await ended.get()
        } catch {
            return ConnectionFailure.describe(error)
        }
    }

    var isActive: Bool { channel.isActive }

    private func enqueue(_ submission: Submission) {
        let schedule = outbox.withLockedValue { outbox in
            outbox.submissions.append(submission)
            defer { outbox.isScheduled = true }
            return !outbox.isScheduled
        }
        guard schedule else { return }
        channel.eventLoop.execute {
            let submissions = self.outbox.withLockedValue { outbox in
                outbox.isScheduled = false
                defer { outbox.submissions = [] }
                return outbox.submissions
            }
            self.handler.value.submit(submissions)
        }
    }
}

extension RedisCommand {
    /// Lets the next command of the connection use a slot that the node is importing; see
    /// <https://redis.io/docs/latest/commands/asking/>.
    static let asking = RedisCommand("ASKING")
}
