import Providers
import RefreshCore
import Testing

@testable import Gateway

/// What a call may take: time, and the patience of who waits for its answer.
@Suite(.timeLimit(.minutes(10))) struct DeadlineTests {
    private static func looking(_ source: RouteSource? = nil) throws -> GatewayRoute {
        var route = GatewayRoute.to("https://api.example/v1", source)
        var contains = RuleConditions()
        contains.contains = ["quota exceeded"]
        route.rules = RuleList([ErrorRule(.quota, contains)])
        return route
    }

    @Test func aTokenThatDoesNotComeIsNotWaitedForBeyondTheDeadline() async throws {
        var route = GatewayRoute.to()
        route.budget.deadline = .seconds(5)
        let house = House(route) { _ in FakeAnswer(200) }
        house.tokens.gate.shut()
        async let outcome = house.failure()
        try await eventually { house.tokens.gate.isWaitedFor }
        house.time.advance(.seconds(6))
        guard case .late? = await outcome?.reason else {
            Issue.record("it waited")
            return
        }
        #expect(house.upstream.seen.current.isEmpty)
        house.tokens.gate.open()
    }

    @Test func anAccountThatIsPickedTooLateIsReleased() async throws {
        var route = GatewayRoute.to("https://api.example", .pool(pool("p")))
        route.budget.deadline = .seconds(5)
        let pools = FakePools("a")
        let house = House(route, pools: pools) { _ in FakeAnswer(200) }
        pools.gate.shut()
        async let outcome = house.failure()
        try await eventually { pools.gate.isWaitedFor }
        house.time.advance(.seconds(6))
        guard case .late? = await outcome?.reason else {
            Issue.record("it waited")
            return
        }
        #expect(pools.leases.current.taken == 0)
        pools.gate.open()
        try await eventually { pools.leases.current.released == 1 }
        #expect(pools.leases.current.taken == 1)
    }

    @Test func aReportThatTakesLongIsMadeAllTheSame() async throws {
        var route = try Self.looking(.pool(pool("p")))
        route.budget.deadline = .seconds(5)
        route.budget.tries = 1
        let pools = FakePools("a")
        let house = House(route, pools: pools) { _ in FakeAnswer(429, "quota exceeded") }
        pools.reporting.shut()
        async let outcome = house.serve()
        try await eventually { pools.reporting.isWaitedFor }
        house.time.advance(.seconds(6))
        #expect(try await outcome.head?.status == 429)
        #expect(pools.reports.current.isEmpty)
        pools.reporting.open()
        try await eventually { pools.reports.current.map(\.outcome) == [.quota] }
    }

    @Test func theWholeTimeIsToldToTheUpstream() async throws {
        var route = GatewayRoute.to()
        route.budget.deadline = .seconds(30)
        let house = House(route) { _ in FakeAnswer(200) }
        try await house.serve()
        #expect(house.upstream.seen.current.first?.call.untilHead == .seconds(30))
        #expect(house.upstream.seen.current.first?.call.firstByte == .seconds(30))
    }

    /// A rule has to see the body, of which nothing comes for a while: what is there is passed on, and the rest as it comes.
    @Test(arguments: [["", FakeAnswer.pause, "late"], ["early ", FakeAnswer.pause, "late"]])
    func aSlowAnswerIsPassedOnAsItComes(pieces: [String]) async throws {
        let house = House(try Self.looking()) { _ in FakeAnswer(200, pieces[0], pieces[1], pieces[2]) }
        let got = try await house.serve()
        #expect(got.head?.status == 200)
        #expect(got.text == pieces[0] + pieces[2])
        #expect(got.writes == [pieces[0], pieces[2]].map(\.utf8.count).filter { $0 > 0 })
        #expect(got.header("perennial-attempts") == "1")
    }

    /// Of one that comes steadily no more is held back than for a time.
    @Test func anAnswerIsNotHeldBackForLong() async throws {
        let clock = Box<StandingTime?>(nil)
        let house = House(try Self.looking()) { _ in
            FakeAnswer(200, "1", "2", "3", "4", "5", "6") { clock.current?.advance(.seconds(4)) }
        }
        clock.change { $0 = house.time }
        let got = try await house.serve()
        #expect(got.text == "123456")
        // 4, 8 and 12 seconds after the head.
        #expect(got.writes == [3, 1, 1, 1])
    }

    @Test func whatIsNoDocumentIsNotHeldBackForARuleAboutDocuments() async throws {
        var route = GatewayRoute.to()
        var code = RuleConditions()
        code.json = [.init(try JSONPointer("/code"), .equals(["40003"]))]
        route.rules = RuleList([ErrorRule(.refresh, code)])
        for (pieces, writes) in [
            (["  text", " and", " more"], [6, 4, 5]), ([" \n", "{\"code\":1", ",\"x\":2}"], [18]),
            (["\u{FEFF}[1", ",2]"], [8]),
        ] {
            let house = House(route) { _ in FakeAnswer(200, pieces[0], pieces[1], pieces.count > 2 ? pieces[2] : "") }
            let got = try await house.serve()
            #expect(got.text == pieces.joined())
            #expect(got.writes == writes)
        }
    }

    @Test func aLeaseIsKeptWhileTheCallLasts() async throws {
        let pools = FakePools("a")
        let seen = Box<[Int]>([])
        let house = House(.to("https://api.example", .pool(pool("p"))), pools: pools) { _ in
            FakeAnswer(200, "1", "2") {
                // Begins on another thread.
                try? await eventually { pools.kept.current.ever > 0 }
                seen.change { $0.append(pools.kept.current.now) }
            }
        }
        try await house.serve()
        #expect(seen.current.allSatisfy { $0 == 1 } && !seen.current.isEmpty)
        try await eventually { pools.kept.current.now == 0 && pools.leases.current.released == 1 }
        #expect(pools.kept.current.ever == 1)
    }

    @Test func aLongDocumentTellsTheDimensionToo() async throws {
        var route = GatewayRoute.to("https://api.example", .pool(pool("p")))
        route.dimension = .json(try JSONPointer("/model"))
        let pools = FakePools("a")
        let house = House(route, pools: pools) { _ in FakeAnswer(200) }
        let long = #"{"x":""# + String(repeating: "y", count: 200_000) + #"","model":"m-1"}"#
        try await house.serve(FakeCaller("POST", body: [long]))
        #expect(pools.requests.current.map(\.dimension) == ["m-1"])
    }
}
