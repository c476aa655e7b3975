import ConfigurationFile
import Glibc
import NIOConcurrencyHelpers
import RefreshCore
import Testing

@testable import Gateway

/// What is kept of requests' bodies, and where.
@Suite struct BodyTests {
    private static let pieces = (0..<9).map { String(repeating: "\($0)", count: 10) }

    private static var route: GatewayRoute {
        var route = GatewayRoute.to()
        route.replay.memory = 15
        route.replay.file = 1000
        return route
    }

    private func space(_ change: (inout SpillSettings) -> Void = { _ in }) -> SpillSpace {
        var settings = SpillSettings.forTests
        change(&settings)
        return SpillSpace(settings, directory: "/tmp", time: StandingTime(), logger: quiet)
    }

    private func collect(_ caller: FakeCaller, in space: SpillSpace) async throws -> RequestBody {
        try await RequestBody.collect(
            caller, limits: Self.route.replay, idle: .seconds(1), space: space, remaining: { .seconds(1) })
    }

    private static let limits: [(most: Int64, free: Int64)] = [(0, 0), (10, 0), (45, 0), (1000, .max)]
    static let tightSpaces = limits.map { most, free in
        var settings = SpillSettings()
        settings.most = most
        settings.keepsFree = free
        return settings
    }

    @Test(arguments: tightSpaces, [false, true])
    func withoutRoomOnTheDiskABodyIsSentOnceAndWhole(spill: SpillSettings, isChunked: Bool) async throws {
        let house = House(Self.route, spill: spill) { _ in FakeAnswer(401) }
        let got = try await house.serve(FakeCaller("PUT", body: Self.pieces, isChunked: isChunked))
        #expect(got.head?.status == 401)
        #expect(got.header("perennial-attempts") == "1;token_refused,not_replayable")
        #expect(house.upstream.seen.current.map { String(decoding: $0.body, as: UTF8.self) } == [Self.pieces.joined()])
        try await eventually { house.gateway.space.taken == 0 }
    }

    @Test func theRoomIsThatOfAllRequestsAndIsGivenBack() async throws {
        let space = space { $0.most = 100 }
        func body() async throws -> RequestBody {
            try await collect(FakeCaller("PUT", body: Self.pieces, isChunked: true), in: space)
        }
        do {
            let first = try await body()
            #expect(first.canRepeat)
            // What is beyond the first piece, which fits into memory.
            #expect(space.taken == 80)
            #expect(try await !body().canRepeat)
        }
        try await eventually { space.taken == 0 }
        #expect(try await body().canRepeat)
    }

    @Test func aDirectoryThatIsGoneCostsOnlyTheRepetition() async throws {
        let space = SpillSpace(.forTests, directory: "/nowhere/at/all", time: StandingTime(), logger: quiet)
        let body = try await collect(FakeCaller("PUT", body: Self.pieces), in: space)
        #expect(!body.canRepeat)
        #expect(space.taken == 0)
    }

    @Test func whatIsKeptIsLetGoOfWhenTheAnswerIsDecided() async throws {
        let space = space()
        let body = try await collect(FakeCaller("PUT", body: Self.pieces), in: space)
        weak let file = body.file
        #expect(file != nil)
        do {
            guard case .stream(90, let source) = body.outgoing() else {
                Issue.record("the body is not streamed")
                return
            }
            var text: [UInt8] = []
            while let piece = try await source() { text += piece }
            #expect(String(decoding: text, as: UTF8.self) == Self.pieces.joined())
            #expect(file != nil)
        }
        body.drop()
        #expect(file == nil)
        #expect(body.bytes == nil)
        let small = try await collect(FakeCaller("PUT", body: ["abc"]), in: space)
        #expect(small.bytes?.count == 3)
        small.drop()
        #expect(small.bytes == nil)
        try await eventually { space.taken == 0 }
    }

    @Test func aFileThatCannotBeReadBackIsThisMachinesFault() async throws {
        let body = try await collect(FakeCaller("PUT", body: Self.pieces), in: space())
        let file = try #require(body.file)
        #expect(ftruncate(file.descriptor, 20) == 0)
        guard case .stream(_, let source) = body.outgoing() else {
            Issue.record("the body is not streamed")
            return
        }
        let failure = await #expect(throws: UpstreamFailure.self) {
            while try await source() != nil {}
        }
        #expect(failure?.kind == .local)
        #expect(failure?.message.contains("/") == false)
    }

    @Test func aLiveBodyThatFailsSaysWhy() async throws {
        var route = GatewayRoute.to()
        (route.replay.memory, route.replay.file) = (0, 0)
        for (fault, kind) in [(CallerFault.malformed, UpstreamFailure.Kind.body), (.slow, .slowBody)] {
            let house = House(route) { _ in FakeAnswer(200) }
            let failure = await house.failure(FakeCaller("POST", body: ["a"], isChunked: true, fault: fault))
            guard case .upstream(let reason)? = failure?.reason else {
                Issue.record("\(String(describing: failure))")
                continue
            }
            #expect(reason.kind == kind)
        }
        let house = House(route) { _ in FakeAnswer(200) }
        let failure = await house.failure(FakeCaller("POST", body: ["a"], isChunked: true, fault: .gone))
        guard case .callerGone? = failure?.reason else {
            Issue.record("\(String(describing: failure))")
            return
        }
    }

    @Test func theSectionIsRead() throws {
        let issues = ConfigurationIssues()
        let document = try ConfigurationDocument(
            Array("gateway: { spill_dir: /var/tmp/x, spill_max: 4GiB, spill_keep_free: 10MiB }".utf8), file: "p.yaml")
        let settings = document.read(environment: [:], issues: issues) { top in
            top.section("gateway") { SpillSettings.read($0) }
        }
        try issues.throwIfAny()
        #expect(settings?.directory == "/var/tmp/x")
        #expect(settings?.most == 4 << 30)
        #expect(settings?.keepsFree == 10 << 20)
        for text in ["spill_dir: relative", "spill_max: lots", "spill_keep_free: -1", "spill: 1"] {
            let issues = ConfigurationIssues()
            let document = try ConfigurationDocument(Array("gateway: { \(text) }".utf8), file: "p.yaml")
            _ = document.read(environment: [:], issues: issues) { top in
                top.section("gateway") { SpillSettings.read($0) }
            }
            #expect(throws: ConfigurationError.self) { try issues.throwIfAny() }
        }
    }
}
