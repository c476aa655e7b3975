/// The events of some channels, for one reader. Ends when the client is shut down.
///
/// Dropping the subscription and its iterators unsubscribes.
public struct RedisSubscription: AsyncSequence, Sendable {
    public typealias Element = RedisSubscriptionEvent
    public typealias Failure = Never

    private let lease: Lease

    init(buffer: SubscriptionBuffer, onDrop: @escaping @Sendable (SubscriptionBuffer) -> Void) {
        lease = Lease(buffer: buffer, onDrop: onDrop)
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(lease: lease)
    }

    /// Unsubscribes now; the sequence ends after what is unread.
    public func cancel() {
        lease.cancel()
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let lease: Lease

        public mutating func next() async -> RedisSubscriptionEvent? {
            await lease.buffer.next()
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> RedisSubscriptionEvent? {
            await lease.buffer.next()
        }
    }

    /// Its end of life is the end of the subscription.
    fileprivate final class Lease: Sendable {
        let buffer: SubscriptionBuffer
        private let onDrop: @Sendable (SubscriptionBuffer) -> Void

        init(buffer: SubscriptionBuffer, onDrop: @escaping @Sendable (SubscriptionBuffer) -> Void) {
            self.buffer = buffer
            self.onDrop = onDrop
        }

        func cancel() {
            buffer.finish()
            onDrop(buffer)
        }

        deinit { cancel() }
    }
}
