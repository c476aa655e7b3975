import Logging
import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore

@testable import Webhooks

/// Streams in memory, capped like those of Redis, with a count of looks.
final class FakeStream: EventStream {
    private struct State {
        var events: [FleetEvent] = []
        var appended = 0
        var last = FleetEvent.Position.start
        var reads = 0
        var isAway = false
    }

    private let state = NIOLockedValueBox(State())
    let partitions = 1

    func append(_ event: FleetEvent, keeping limit: Int = 10_000) {
        state.withLockedValue { state in
            state.events.append(event)
            state.appended += 1
            state.last = event.position
            if state.events.count > limit { state.events.removeFirst(state.events.count - limit) }
        }
    }

    var reads: Int { state.withLockedValue { $0.reads } }
    func setAway(_ isAway: Bool) { state.withLockedValue { $0.isAway = isAway } }

    private func look<Value>(_ body: (inout State) -> Value) throws(StoreError) -> Value {
        let result: Result<Value, StoreError> = state.withLockedValue { state in
            state.reads += 1
            return state.isAway ? .failure(StoreError(.unavailable, "away")) : .success(body(&state))
        }
        return try result.get()
    }

    func read(
        _ partition: Int, after position: FleetEvent.Position, limit: Int
    ) async throws(StoreError) -> EventPage {
        try look { state in
            let isKnown = state.events.contains { $0.position == position }
            let later = state.events.filter { $0.position > position }
            return EventPage(
                events: Array(later.prefix(limit)), mayHaveGap: !isKnown && !later.isEmpty, isLast: later.count <= limit
            )
        }
    }

    func read(_ partition: Int, at positions: [FleetEvent.Position]) async throws(StoreError) -> [FleetEvent] {
        try look { state in state.events.filter { positions.contains($0.position) } }
    }

    func extent(_ partition: Int) async throws(StoreError) -> EventStreamExtent {
        try look { state in
            EventStreamExtent(last: state.last, length: state.events.count, appended: state.appended)
        }
    }
}

/// The state of deliveries in memory.
final class FakeDeliveryStore: DeliveryStore {
    struct State {
        var progress: [String: DeliveryProgress] = [:]
        var statuses: [String: DeliveryStatus] = [:]
        var letters: [DeadLetter] = []
        var saves = 0
        var isAway = false
    }

    private let state = NIOLockedValueBox(State())

    var now: State { state.withLockedValue { $0 } }
    func setAway(_ isAway: Bool) { state.withLockedValue { $0.isAway = isAway } }

    private func change<Value>(_ body: (inout State) -> Value) throws(StoreError) -> Value {
        let result: Result<Value, StoreError> = state.withLockedValue { state in
            state.isAway ? .failure(StoreError(.unavailable, "away")) : .success(body(&state))
        }
        return try result.get()
    }

    func progress(_ partition: Int) async throws(StoreError) -> [String: DeliveryProgress] {
        try change { $0.progress }
    }
    func statuses() async throws(StoreError) -> [String: DeliveryStatus] { try change { $0.statuses } }

    func save(
        _ partition: Int, progress: [String: DeliveryProgress], statuses: [String: DeliveryStatus]
    ) async throws(StoreError) {
        try change { state in
            state.saves += 1
            state.progress.merge(progress) { $1 }
            state.statuses.merge(statuses) { $1 }
        }
    }

    func forget(_ endpoint: String) async throws(StoreError) {
        try change { state in
            state.progress[endpoint] = nil
            state.statuses[endpoint] = nil
        }
    }

    func bury(_ letter: DeadLetter) async throws(StoreError) { try change { $0.letters.append(letter) } }
    func deadLetters(limit: Int) async throws(StoreError) -> [DeadLetter] { try change { $0.letters } }
    func drop(_ id: String) async throws(StoreError) -> Bool { false }
}

/// A receiver that answers as it is told.
final class FakeReceiver: WebhookSender {
    struct Received: Sendable, Hashable {
        var endpoint: String
        var id: String
    }

    private struct State {
        var taken: [Received] = []
        var tries = 0
        var answer: @Sendable (FleetEvent) -> DeliveryResult = { _ in .delivered }
    }

    private let state = NIOLockedValueBox(State())

    var taken: [Received] { state.withLockedValue { $0.taken } }
    var ids: [String] { taken.map(\.id) }
    var tries: Int { state.withLockedValue { $0.tries } }
    func answers(_ answer: @escaping @Sendable (FleetEvent) -> DeliveryResult) {
        state.withLockedValue { $0.answer = answer }
    }

    func send(_ event: FleetEvent, to endpoint: WebhookEndpoint) async -> DeliveryResult {
        state.withLockedValue { state in
            state.tries += 1
            let result = state.answer(event)
            if result == .delivered { state.taken.append(Received(endpoint: endpoint.name, id: event.id)) }
            return result
        }
    }
}

/// A dispatcher on a manual clock, between a stream and a receiver.
final class Bench: Sendable {
    let time = ManualTimeSource(wall: Sample.start)
    let stream = FakeStream()
    let store = FakeDeliveryStore()
    let receiver = FakeReceiver()
    let lost = NIOLockedValueBox<[String: Int]>([:])

    func dispatcher(
        _ endpoints: [WebhookEndpoint] = [Sample.endpoint()], _ configuration: WebhookDispatcher.Configuration = .init()
    ) -> WebhookDispatcher {
        WebhookDispatcher(
            catalog: WebhookCatalog(endpoints), events: stream, store: store, sender: receiver, time: time,
            configuration: configuration, seed: 7, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            isSubscribed: { true },
            tellLost: { [lost] endpoint, count in lost.withLockedValue { $0[endpoint, default: 0] += count } })
    }

    /// Lets a dispatcher reign around `body`.
    func reign(_ dispatcher: WebhookDispatcher, _ body: () async throws -> Void) async throws {
        let reign = Task { await dispatcher.run { true } }
        do {
            try await body()
        } catch {
            reign.cancel()
            await reign.value
            throw error
        }
        reign.cancel()
        await reign.value
    }

    struct NeverHappened: Error {}

    /// Waits until `condition` holds, while the clock stands still.
    func happens(_ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !condition() {
            guard ContinuousClock.now < deadline else { throw NeverHappened() }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Moves the clock on from deadline to deadline until `condition` holds.
    func until(_ condition: () -> Bool) async throws {
        for _ in 0..<3000 {
            if condition() { return }
            // Whoever was woken gets to its next sleep.
            try await Task.sleep(for: .milliseconds(1))
            if condition() { return }
            time.advanceToNextDeadline()
        }
        throw NeverHappened()
    }
}
