import Logging
import RedisStore
import RefreshCore
import Testing

/// The accounts of a pool in Redis.
@Suite(.timeLimit(.minutes(10)))
struct PoolTests {
    private let pool = try! PoolName("warp")

    private func put(
        _ fixture: StoreFixture, _ id: String, _ tier: String, overwrite: OverwriteRule
    ) async throws -> PutReply {
        try await fixture.directory.put(
            AccountPut(
                id: AccountID(id), provider: StoreFixture.provider, name: nil,
                credentials: Credentials(refreshToken: Secret("refresh-\(id)-\(tier)")),
                dueAt: try await fixture.now(), overwrite: overwrite,
                traits: TraitChanges(pool: .set(pool), tier: .set(try TierName(tier)))))
    }

    /// Trap 8: a new account joins its pool's tier, and takes nobody's place.
    @Test(arguments: [1, 64])
    func aNewAccountJoinsItsPoolAndReplacesNone(partitions: Int) async throws {
        try await StoreFixture.run(partitions: partitions) { fixture in
            let pools = RedisPoolStore(link: fixture.link, origin: StoreFixture.instance, logger: Logger(label: "test"))
            try await fixture.add("outsider")
            #expect(try await put(fixture, "mine", "personal", overwrite: .always) == .created(Generation(1)))
            let mine = try await fixture.account("mine")
            #expect(try await put(fixture, "mine", "anonymous", overwrite: .never) == .conflict(Generation(1)))
            #expect(try await put(fixture, "new-1", "anonymous", overwrite: .never) == .created(Generation(1)))
            #expect(try await fixture.account("mine") == mine)
            #expect(try await fixture.begin("mine", "t1").claim?.refreshToken == Secret("refresh-mine-personal"))
            let members = try await pools.members(of: pool)
            #expect(members.map(\.id.rawValue) == ["mine", "new-1"])
            #expect(members.map { $0.tier?.rawValue } == ["personal", "anonymous"])
            #expect(try await pools.members(of: try PoolName("other")).isEmpty)
            // Who leaves, or is removed, is in it no longer.
            let leaving = AccountEdit(traits: TraitChanges(pool: .remove))
            #expect(try await fixture.directory.edit(AccountID("mine"), leaving) == .done)
            #expect(try await fixture.directory.remove(AccountID("new-1"), ifGeneration: nil) == .done)
            #expect(try await pools.members(of: pool).isEmpty)
        }
    }
}
