import Testing

@testable import PerennialCLI

struct DemoReadingTests {
    @Test func percentilesAreWithinASixteenth() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(0.5) == nil)
        for milliseconds in 1...1000 { histogram.record(.milliseconds(milliseconds)) }
        let tolerance = 1.0 / 16
        for (share, expected) in [(0.5, 500.0), (0.99, 990), (0.01, 10)] {
            let measured = (histogram.percentile(share) ?? .zero) / .milliseconds(1)
            #expect(measured >= expected && measured <= expected * (1 + tolerance), "p\(share) is \(measured) ms")
        }
        #expect(histogram.percentile(1) == .seconds(1))
        #expect(histogram.maximum == .seconds(1))
        #expect(histogram.count == 1000)
    }

    @Test(arguments: [
        Duration.zero, .microseconds(1), .microseconds(15), .microseconds(16), .seconds(1 << 40), .seconds(-1),
    ])
    func anyTimeHasABucket(time: Duration) {
        var histogram = LatencyHistogram()
        histogram.record(time)
        #expect(histogram.percentile(0.5) == max(time, .zero) || time > .seconds(3600))
    }

    @Test func tokenAnswers() {
        let body = """
            {"account":"acct-1","access_token":"mat_1","token_type":"Bearer","expires_at":"2026-11-21T09:03:40Z",
             "expires_in":12,"generation":7,"source":"refresh","stale":false}
            """
        let reading = TokenReading(Array(body.utf8))
        #expect(
            reading == TokenReading(accessToken: "mat_1", expiresAt: 1_795_251_820, generation: 7, source: "refresh"))
        #expect(reading?.hasWaited == true)
        #expect(TokenReading(Array("{}".utf8)) == nil)
        #expect(TokenReading(Array("no json".utf8)) == nil)
        #expect(TokenReading(Array(body.replacing("2026-11-21T09:03:40Z", with: "soon").utf8)) == nil)
    }

    @Test func aTokenIsExpiredWhenItsLastWholeSecondIsOver() {
        let reading = TokenReading(accessToken: "a", expiresAt: 100, generation: 1, source: "memory")
        #expect(!reading.isDoubtful(at: 98.9))
        #expect(reading.isDoubtful(at: 99))
        #expect(!reading.isExpired(at: 100.9))
        #expect(reading.isExpired(at: 101))
    }

    @Test func tallyCountsEachExpiredTokenOnce() {
        var tally = ReadTally()
        let reading = TokenReading(accessToken: "a", expiresAt: 100, generation: 1, source: "memory")
        tally.record(.served(reading), account: 4, attempts: 2, latency: .milliseconds(1), isSteady: true, now: 102)
        tally.recordUse(of: reading, account: 4, accepted: false, wasExpired: true, now: 102)
        #expect(tally.expired == 1)
        #expect(tally.used == 1)
        #expect(tally.rerouted == 1)
        tally.recordUse(of: reading, account: 4, accepted: false, wasExpired: false, now: 99.5)
        #expect(tally.expired == 2)
        #expect(tally.examples.last?.contains("was refused before the end that was told (0.5 s)") == true)
    }

    @Test func anOlderGenerationDoesNotReplaceANewerOne() {
        var tally = ReadTally()
        for (generation, expiresAt) in [(Int64(2), Int64(200)), (1, 100), (2, 200)] {
            let reading = TokenReading(
                accessToken: "a", expiresAt: expiresAt, generation: generation, source: "memory")
            tally.record(.served(reading), account: 0, attempts: 1, latency: .zero, isSteady: true, now: 0)
        }
        let other = TokenReading(accessToken: "b", expiresAt: 150, generation: 1, source: "redis")
        tally.record(.served(other), account: 1, attempts: 1, latency: .zero, isSteady: true, now: 0)
        #expect(tally.earliest(5).map(\.account) == [1, 0])
        #expect(tally.earliest(1).map(\.state.expiresAt) == [150])
    }

    @Test func readsGoRoundAndAvoidWhatIsDown() {
        var rotation = InstanceRotation(count: 3)
        let now = ContinuousClock.now
        #expect(rotation.order(for: 4, now: now) == [1, 2, 0])
        rotation.markDown(1, now: now)
        #expect(rotation.order(for: 4, now: now) == [2, 0, 1])
        #expect(rotation.order(for: 4, now: now + InstanceRotation.pause) == [1, 2, 0])
        for index in 0..<3 { rotation.markDown(index, now: now) }
        #expect(rotation.order(for: 0, now: now) == [0, 1, 2])
    }

    @Test func leadersAreFollowedThroughGapsAndOverlaps() {
        var history = LeaderHistory()
        history.observe(claiming: [])
        #expect(history.leader == nil)
        history.observe(claiming: [2])
        history.observe(claiming: [])
        #expect(history.leader == 2)
        history.observe(claiming: [1, 2])
        #expect(history.changes == 0)
        history.observe(claiming: [1])
        history.observe(claiming: [1])
        #expect(history.leader == 1)
        #expect(history.changes == 1)
    }

    @Test func instancesAsTheyAnswer() {
        let body = """
            {"instances":[{"id":"i-1","host":"h","pid":4711,"version":"1","started_at":"2026-11-21T09:03:40Z",
            "seen_at":"2026-11-21T09:03:40Z","listen":["127.0.0.1:1"],"proactive":true,"leader":true,"refreshes":9}]}
            """
        let view = FleetView(Array(body.utf8))
        #expect(view?.instance(pid: 4711) == FleetView.Instance(pid: 4711, leader: true, refreshes: 9))
        #expect(view?.instance(pid: 4712) == nil)
        #expect(FleetView(Array("[]".utf8)) == nil)
    }
}
