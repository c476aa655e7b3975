import Logging
import NIOConcurrencyHelpers
import RefreshCore

/// Delivers events to the webhook endpoints, from the streams as the outbox: at least once, over restarts and changes of
/// the leader. Runs during a reign; two at once cost duplicates of the same id, nothing more.
///
/// It looks when it is told that there are events, and else only rarely.
public final class WebhookDispatcher: Sendable {
    public struct Configuration: Sendable {
        /// Between two looks that nobody asked for.
        public var look: Duration
        /// The same while the subscription that tells of events is down.
        public var blindLook: Duration
        /// Events that come together are read together: the least time between two reads.
        public var gather: Duration
        /// How long it may take until what was done is written down, while more is being done.
        public var saveWithin: Duration
        /// The same for what was only read and not wanted.
        public var noteWithin: Duration

        public init(
            look: Duration = .seconds(60), blindLook: Duration = .seconds(5), gather: Duration = .milliseconds(50),
            saveWithin: Duration = .seconds(1), noteWithin: Duration = .seconds(10)
        ) {
            self.look = look
            self.blindLook = blindLook
            self.gather = gather
            self.saveWithin = saveWithin
            self.noteWithin = noteWithin
        }

        /// Where each command is paid for.
        public static let frugal = Configuration(
            look: .seconds(3600), blindLook: .seconds(300), gather: .seconds(1), saveWithin: .seconds(10),
            noteWithin: .seconds(600))
    }

    private struct Inbox {
        var appended: Set<Int> = []
        var finished: [(endpoint: String, id: String, result: DeliveryResult)] = []
        /// Changes that come with an event only where such events are kept, since the last look.
        var refreshes = 0
    }

    let endpoints: [WebhookEndpoint]
    let events: any EventStream
    let store: any DeliveryStore
    let sender: any WebhookSender
    let time: any TimeSource
    let logger: Logger
    let configuration: Configuration
    let tellLost: @Sendable (_ endpoint: String, _ count: Int) async -> Void
    private let isSubscribed: @Sendable () -> Bool
    private let seed: UInt64
    private let inbox = NIOLockedValueBox(Inbox())
    private let wakeup = Wakeup()
    private let wantsRefreshes: Bool

    /// - Parameter tellLost: puts an event into the stream, for the other endpoints.
    public init(
        catalog: WebhookCatalog, events: any EventStream, store: any DeliveryStore, sender: any WebhookSender,
        time: any TimeSource, configuration: Configuration = Configuration(), seed: UInt64, logger: Logger,
        isSubscribed: @escaping @Sendable () -> Bool,
        tellLost: @escaping @Sendable (_ endpoint: String, _ count: Int) async -> Void
    ) {
        endpoints = catalog.endpoints
        self.events = events
        self.store = store
        self.sender = sender
        self.time = time
        self.configuration = configuration
        self.seed = seed
        self.logger = logger
        self.isSubscribed = isSubscribed
        self.tellLost = tellLost
        wantsRefreshes = catalog.endpoints.contains { $0.selection.includes(type: EventType.refreshed) }
    }

    // MARK: Being told

    /// There is something new in the stream of a partition.
    public func eventsAppended(_ partition: Int) {
        inbox.withLockedValue { _ = $0.appended.insert(partition) }
        wakeup.fire()
    }

    /// An account has got a new token; its event, if there is one, is looked for only where somebody wants such events,
    /// or when so many have come that the stream might be cut before they were passed over.
    public func tokenRefreshed(_ partition: Int) {
        let isDue = inbox.withLockedValue { inbox in
            inbox.refreshes += 1
            guard wantsRefreshes || inbox.refreshes >= 1000 else { return false }
            inbox.refreshes = 0
            inbox.appended.insert(partition)
            return true
        }
        if isDue { wakeup.fire() }
    }

    /// Messages may have been missed.
    public func mayHaveMissed() {
        let partitions = events.partitions
        inbox.withLockedValue { $0.appended.formUnion(0..<partitions) }
        wakeup.fire()
    }

    // MARK: Working

    /// Works until `isCurrent` is false or the task is cancelled; requests under way are cut off then, and repeated by
    /// the next leader.
    public func run(while isCurrent: @escaping @Sendable () -> Bool) async {
        guard !endpoints.isEmpty, var round = await open(isCurrent) else { return }
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled, isCurrent() {
                let (finished, appended) = inbox.withLockedValue { inbox in
                    defer { inbox.finished = []; inbox.appended = [] }
                    return (inbox.finished, inbox.appended)
                }
                round.toRead.formUnion(appended)
                for (endpoint, id, result) in finished { await round.finished(endpoint, id, result) }
                await round.read(isSubscribed: isSubscribed())
                for (endpoint, event) in round.start() {
                    group.addTask { [self] in
                        let result = await sender.send(event, to: endpoint)
                        // Cut off: nobody knows what became of it, so it stays open.
                        guard !Task.isCancelled else { return }
                        inbox.withLockedValue { $0.finished.append((endpoint.name, event.id, result)) }
                        wakeup.fire()
                    }
                }
                await round.save()
                await wakeup.wait(until: round.nextWake(isSubscribed: isSubscribed()), time: time)
            }
            group.cancelAll()
        }
        // In a task of its own: this one may be cancelled, and what was done is worth a command.
        let last = round
        await Task {
            var last = last
            await last.save(atOnce: true)
        }.value
    }

    /// Reads how far the endpoints have got; nil when the reign ends before that works.
    private func open(_ isCurrent: @Sendable () -> Bool) async -> DeliveryRound? {
        inbox.withLockedValue { $0 = Inbox() }
        var pause = Duration.seconds(1)
        while !Task.isCancelled, isCurrent() {
            do {
                return try await DeliveryRound(dispatcher: self, seed: seed)
            } catch {
                logger.debug("webhooks wait for Redis: \(error.message)")
            }
            await wakeup.wait(until: time.monotonic() + pause, time: time)
            pause = min(pause * 2, .seconds(60))
        }
        return nil
    }
}
