import Logging
import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore
import Testing

@testable import Webhooks

@Suite(.timeLimit(.minutes(10)))
struct DispatcherTests {
    /// An endpoint that is known, and has seen nothing yet.
    private func known(_ bench: Bench, _ endpoints: [WebhookEndpoint] = [Sample.endpoint()]) async throws {
        try await bench.reign(bench.dispatcher(endpoints)) {
            try await bench.until { bench.store.now.progress.count == endpoints.count }
        }
    }

    @Test func aNewEndpointBeginsWithWhatHappensFromNowOn() async throws {
        let bench = Bench()
        for number in 1...5 { bench.stream.append(Sample.event(number)) }
        let dispatcher = bench.dispatcher()
        try await bench.reign(dispatcher) {
            try await bench.until { bench.store.now.progress["ops"]?.read == Sample.event(5).position }
            bench.stream.append(Sample.event(6))
            dispatcher.eventsAppended(0)
            try await bench.until { bench.store.now.progress["ops"]?.read == Sample.event(6).position }
        }
        #expect(bench.receiver.ids == [Sample.event(6).id])
        #expect(bench.store.now.progress["ops"]?.open.isEmpty == true)
        #expect(bench.store.now.statuses["ops"]?.delivered == 1)
    }

    @Test func aReceiverThatFailsForAWhileGetsEverythingInOrder() async throws {
        let bench = Bench()
        try await known(bench)
        let end = Sample.start + .seconds(7200)
        bench.receiver.answers { [time = bench.time] event in
            if time.wall() < end { return event.position.milliseconds % 3 == 0 ? .delivered : .failed("HTTP 500") }
            return .delivered
        }
        let dispatcher = bench.dispatcher()
        let events = (1...60).map { Sample.event($0, account: "account-\($0 % 7)") }
        try await bench.reign(dispatcher) {
            for event in events { bench.stream.append(event) }
            dispatcher.eventsAppended(0)
            try await bench.until {
                bench.receiver.ids.count >= events.count && bench.store.now.progress["ops"]?.open == []
            }
        }
        #expect(Set(bench.receiver.ids) == Set(events.map(\.id)))
        #expect(bench.receiver.ids.count == events.count, "no duplicates without a crash")
        for account in 0..<7 {
            let expected = events.filter { $0["account"] == "account-\(account)" }.map(\.id)
            #expect(bench.receiver.ids.filter { expected.contains($0) } == expected)
        }
    }

    @Test func theNextLeaderGoesOnWhereTheLastOneWas() async throws {
        let bench = Bench()
        try await known(bench)
        let events = (1...40).map { Sample.event($0, account: "account-\($0 % 5)") }
        for event in events { bench.stream.append(event) }
        bench.receiver.answers { event in
            event["account"] == "account-1" ? .failed("HTTP 500") : .delivered
        }
        try await bench.reign(bench.dispatcher()) {
            try await bench.until { bench.receiver.ids.count == 32 && bench.store.now.progress["ops"]?.open.count == 8 }
        }
        bench.receiver.answers { _ in .delivered }
        try await bench.reign(bench.dispatcher()) {
            try await bench.until { bench.store.now.progress["ops"]?.open == [] }
        }
        #expect(Set(bench.receiver.ids) == Set(events.map(\.id)))
        #expect(bench.receiver.ids.count == events.count)
        #expect(bench.lost.withLockedValue { $0 }.isEmpty)
    }

    /// The process dies without having written down what it did: all of it comes again, with the same ids.
    @Test func aLeaderThatIsKilledCostsDuplicatesAndNothingElse() async throws {
        let bench = Bench()
        try await known(bench)
        for number in 1...10 { bench.stream.append(Sample.event(number)) }
        bench.receiver.answers { [store = bench.store] _ in
            store.setAway(true)
            return .delivered
        }
        try await bench.reign(bench.dispatcher()) {
            try await bench.until { bench.receiver.ids.count == 10 }
        }
        bench.receiver.answers { _ in .delivered }
        bench.store.setAway(false)
        try await bench.reign(bench.dispatcher()) {
            try await bench.until { bench.store.now.progress["ops"]?.read == Sample.event(10).position }
            try await bench.until { bench.store.now.progress["ops"]?.open == [] }
        }
        #expect(Set(bench.receiver.ids).count == 10)
        #expect(bench.receiver.ids.count > 10, "the store was away while it was done")
    }

    @Test func whatIsRefusedBecomesADeadLetterAndTheNextFollows() async throws {
        let bench = Bench()
        try await known(bench)
        bench.receiver.answers { $0.position == Sample.event(1).position ? .rejected("HTTP 422") : .delivered }
        bench.stream.append(Sample.event(1))
        bench.stream.append(Sample.event(2))
        try await bench.reign(bench.dispatcher()) {
            try await bench.until {
                bench.receiver.ids == [Sample.event(2).id] && bench.store.now.progress["ops"]?.open == []
            }
        }
        let letter = try #require(bench.store.now.letters.first)
        #expect(bench.store.now.letters.count == 1)
        #expect(letter.event == Sample.event(1))
        #expect(letter.reason == "HTTP 422" && letter.tries == DeliveryQueue.maxRejections && letter.endpoint == "ops")
        #expect(bench.store.now.statuses["ops"]?.deadLetters == 1)
    }

    @Test func aDeadLetterThatCannotBeKeptIsNotForgotten() async throws {
        let bench = Bench()
        try await known(bench)
        bench.receiver.answers { _ in .rejected("HTTP 400") }
        bench.stream.append(Sample.event(1))
        try await bench.reign(bench.dispatcher()) {
            try await bench.until { bench.receiver.tries >= 1 }
            bench.store.setAway(true)
            try await bench.until { bench.receiver.tries > DeliveryQueue.maxRejections }
            bench.store.setAway(false)
            try await bench.until { bench.store.now.letters.count == 1 }
        }
    }

    @Test func whatWasCutIsCountedAndSaid() async throws {
        let bench = Bench()
        bench.stream.append(Sample.event(1))
        try await known(bench)
        // 49 of these are cut before anybody looks.
        for number in 2...60 { bench.stream.append(Sample.event(number), keeping: 10) }
        try await bench.reign(bench.dispatcher()) {
            try await bench.until {
                bench.receiver.ids.count == 10 && bench.store.now.statuses["ops"]?.lost == 49
                    && bench.store.now.progress["ops"]?.open == []
            }
        }
        #expect(bench.lost.withLockedValue { $0 } == ["ops": 49])
        #expect(bench.receiver.ids == (51...60).map { Sample.event($0).id })
        // It is said once.
        bench.stream.append(Sample.event(61), keeping: 10)
        try await bench.reign(bench.dispatcher()) { try await bench.until { bench.receiver.ids.count == 11 } }
        #expect(bench.lost.withLockedValue { $0 } == ["ops": 49])
    }

    /// The event that was read last may be cut without anything being lost.
    @Test func nothingIsLostWhereEverythingWasRead() async throws {
        let bench = Bench()
        bench.stream.append(Sample.event(1))
        try await known(bench)
        for number in 2...11 { bench.stream.append(Sample.event(number), keeping: 10) }
        try await bench.reign(bench.dispatcher()) { try await bench.until { bench.receiver.ids.count == 10 } }
        #expect(bench.lost.withLockedValue { $0 }.isEmpty)
    }

    @Test func waitingEventsThatWereCutAreCountedByTheNextLeader() async throws {
        let bench = Bench()
        try await known(bench)
        bench.receiver.answers { _ in .failed("HTTP 500") }
        bench.stream.append(Sample.event(1))
        try await bench.reign(bench.dispatcher()) {
            try await bench.until { bench.store.now.progress["ops"]?.open.count == 1 }
        }
        bench.stream.append(Sample.event(2), keeping: 1)
        bench.receiver.answers { _ in .delivered }
        try await bench.reign(bench.dispatcher()) {
            try await bench.until { bench.receiver.ids == [Sample.event(2).id] }
        }
        #expect(bench.lost.withLockedValue { $0 } == ["ops": 1])
    }

    @Test func anEndpointThatIsGoneStaysOffUntilItIsConfiguredAnew() async throws {
        let bench = Bench()
        var endpoint = Sample.endpoint()
        try await known(bench, [endpoint])
        bench.receiver.answers { _ in .gone }
        bench.stream.append(Sample.event(1))
        try await bench.reign(bench.dispatcher([endpoint])) {
            try await bench.until { bench.store.now.statuses["ops"]?.goneWith == endpoint.fingerprint }
        }
        bench.receiver.answers { _ in .delivered }
        let tries = bench.receiver.tries
        bench.stream.append(Sample.event(2))
        let reads = bench.stream.reads
        try await bench.reign(bench.dispatcher([endpoint])) {
            let until = bench.time.wall() + .seconds(3600)
            try await bench.until { bench.time.wall() > until }
        }
        #expect(bench.receiver.tries == tries)
        #expect(bench.stream.reads <= reads + 2)
        endpoint.url = Secret("https://hooks.example.com/new")
        try await bench.reign(bench.dispatcher([endpoint])) {
            try await bench.until { bench.receiver.ids == [Sample.event(1).id, Sample.event(2).id] }
        }
        #expect(bench.store.now.statuses["ops"]?.goneWith == nil)
    }

    @Test func endpointsDoNotHoldUpEachOther() async throws {
        let bench = Bench()
        let endpoints = [Sample.endpoint("down"), Sample.endpoint("up")]
        try await known(bench, endpoints)
        final class Down: WebhookSender {
            let up: FakeReceiver
            init(_ up: FakeReceiver) { self.up = up }
            func send(_ event: FleetEvent, to endpoint: WebhookEndpoint) async -> DeliveryResult {
                endpoint.name == "down" ? .failed("no connection") : await up.send(event, to: endpoint)
            }
        }
        let dispatcher = WebhookDispatcher(
            catalog: WebhookCatalog(endpoints), events: bench.stream, store: bench.store, sender: Down(bench.receiver),
            time: bench.time, seed: 1, logger: .init(label: "test"), isSubscribed: { true }, tellLost: { _, _ in })
        for number in 1...50 { bench.stream.append(Sample.event(number)) }
        // No time passes until one of them has everything.
        try await bench.reign(dispatcher) { try await bench.happens { bench.receiver.ids.count == 50 } }
    }

    /// More events than are held at once, and a receiver that is down: the stream is the place where they wait.
    @Test func moreThanCanBeHeldWaitsInTheStream() async throws {
        let bench = Bench()
        try await known(bench)
        bench.receiver.answers { _ in .failed("no connection") }
        let count = DeliveryQueue.capacity + 300
        for number in 1...count { bench.stream.append(Sample.event(number, account: "account-\(number)")) }
        try await bench.reign(bench.dispatcher()) {
            try await bench.until { (bench.store.now.progress["ops"]?.open.count ?? 0) == DeliveryQueue.capacity }
            bench.receiver.answers { _ in .delivered }
            try await bench.until { bench.receiver.ids.count == count }
        }
        #expect(Set(bench.receiver.ids).count == count)
    }

    @Test func redisMayBeAwayForAWhile() async throws {
        let bench = Bench()
        try await known(bench)
        bench.stream.setAway(true)
        bench.store.setAway(true)
        let dispatcher = bench.dispatcher()
        bench.stream.append(Sample.event(1))
        try await bench.reign(dispatcher) {
            let until = bench.time.wall() + .seconds(300)
            try await bench.until { bench.time.wall() > until }
            bench.store.setAway(false)
            bench.stream.setAway(false)
            try await bench.until { bench.receiver.ids == [Sample.event(1).id] }
            bench.stream.setAway(true)
            bench.stream.append(Sample.event(2))
            dispatcher.eventsAppended(0)
            let later = bench.time.wall() + .seconds(300)
            try await bench.until { bench.time.wall() > later }
            bench.stream.setAway(false)
            try await bench.until { bench.receiver.ids.count == 2 }
        }
    }

    /// Where commands are paid for: a look an hour, and two commands for an event.
    @Test func aQuietDayIsCheap() async throws {
        let bench = Bench()
        try await known(bench)
        let dispatcher = bench.dispatcher([Sample.endpoint()], .frugal)
        let (reads, saves) = (bench.stream.reads, bench.store.now.saves)
        try await bench.reign(dispatcher) {
            let day = bench.time.wall() + .seconds(86_400)
            try await bench.until { bench.time.wall() > day }
            #expect(bench.stream.reads - reads <= 26)
            #expect(bench.store.now.saves == saves)
            let before = bench.stream.reads
            bench.stream.append(Sample.event(86_400_000))
            dispatcher.eventsAppended(0)
            try await bench.until { bench.store.now.progress["ops"]?.read == Sample.event(86_400_000).position }
            #expect(bench.store.now.saves == saves + 1)
            #expect(bench.stream.reads - before <= 3)
        }
        #expect(bench.receiver.ids.count == 1)
    }

    /// Refreshes that nobody wants cost no look, until so many have come that the stream might be cut.
    @Test func refreshesWakeNobodyWhoDoesNotWantThem() async throws {
        let bench = Bench()
        try await known(bench)
        let dispatcher = bench.dispatcher()
        try await bench.reign(dispatcher) {
            try await bench.until { bench.stream.reads >= 2 }
            try await bench.happens {
                bench.time.sleeperCount == 1
                    && bench.time.nextDeadline.map { $0 > bench.time.monotonic() + .seconds(1) } == true
            }
            let reads = bench.stream.reads
            for _ in 1...900 { dispatcher.tokenRefreshed(0) }
            try await Task.sleep(for: .milliseconds(50))
            #expect(bench.stream.reads == reads)
            for _ in 1...200 { dispatcher.tokenRefreshed(0) }
            try await bench.until { bench.stream.reads > reads }
        }
    }
}
