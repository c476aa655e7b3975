import Logging
import MockProvider
import Perennial
import RedisStore
import RefreshCore
import Testing

/// Pools that get new accounts by themselves, over a whole fleet.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct AcquisitionTests {
    /// A chain of one step: the mock provider grants an account.
    private static func pools(perDay: Int) -> @Sendable (Int) -> String {
        { port in WarpSection.yaml(["max_per_day: \(perDay)", "min_interval: 1s"], port: port) }
    }

    private let pool = try! PoolName("warp")

    private func members(_ fleet: Fleet) async throws -> [AccountSnapshot] {
        try await RedisPoolStore(
            link: fleet.instances[0].link, origin: fleet.instances[0].id, logger: Logger(label: "test")
        ).members(of: pool)
    }

    private func events(_ fleet: Fleet, _ type: String) async throws -> Int {
        let page = try await RedisEventStream(link: fleet.instances[0].link).read(0, after: .start, limit: 1000)
        return page.events.filter { $0.type == type }.count
    }

    @Test func anEmptyPoolGetsOneAccountWhateverTheNumberOfInstances() async throws {
        try await Fleet.run(.init(refresh: "{ proactive: true }", more: Self.pools(perDay: 5))) { fleet in
            try await eventually("an account is acquired and has a token") {
                try await members(fleet).first?.generation == Generation(2)
            }
            let first = try #require(try await members(fleet).first)
            #expect(first.tier?.rawValue == "anonymous")
            #expect(first.id.rawValue.hasPrefix("anonymous-"))
            // There is time for more, and no need.
            try await Task.sleep(for: .seconds(3))
            #expect(try await members(fleet).count == 1)
            #expect(try await events(fleet, "pool.exhausted") == 0, "a pool without accounts has not been used up")
        }
    }

    @Test func anExhaustedPoolIsToldOfOnceAndGetsAnotherAccountUpToTheLimitOfTheDay() async throws {
        try await Midnight.keepAway()
        try await Fleet.run(.init(refresh: "{ proactive: true }", more: Self.pools(perDay: 2))) { fleet in
            try await eventually("the first") { try await members(fleet).first?.generation == Generation(2) }
            let first = try #require(try await members(fleet).first)
            try await kill(first.id, fleet)
            try await eventually("the second") {
                try await members(fleet).contains { $0.id != first.id && $0.generation == Generation(2) }
            }
            try await eventually("both changes are told") {
                let recovered = try await events(fleet, "pool.recovered")
                return try await events(fleet, "pool.exhausted") == 1 && recovered == 1
            }
            #expect(try await members(fleet).first { $0.id == first.id }?.status == .reauthRequired)

            let second = try #require(try await members(fleet).first { $0.id != first.id })
            try await kill(second.id, fleet)
            try await eventually("it is exhausted again") { try await events(fleet, "pool.exhausted") == 2 }
            try await Task.sleep(for: .seconds(4))
            #expect(try await members(fleet).count == 2, "two a day")
        }
    }

    /// The provider refuses the account from now on.
    private func kill(_ account: AccountID, _ fleet: Fleet) async throws {
        let snapshot = try #require(try await fleet.instances[0].directory.read(account))
        let revoked = fleet.mock.revoke(account: account.rawValue)
        #expect(revoked == 1)
        _ = try? await fleet.instances[0].reader.token(
            TokenRequest(account: account, refused: snapshot.generation))
        try await eventually("it is refused") {
            try await fleet.instances[0].directory.read(account)?.status == .reauthRequired
        }
    }
}
