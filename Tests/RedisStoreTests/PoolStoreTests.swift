import Logging
import NIOConcurrencyHelpers
import PerennialTesting
import RedisClient
import RedisStore
import RefreshCore
import Testing

/// The pools in Redis: their accounts, what is told of them, and what a fallback token waits for.
@Suite(.timeLimit(.minutes(10)))
struct PoolStoreTests {
    private let warp = try! PoolName("warp")
    private let other = try! PoolName("other")

    private func pools(_ fixture: StoreFixture) -> RedisPoolStore {
        RedisPoolStore(link: fixture.link, origin: StoreFixture.instance, logger: Logger(label: "test"))
    }

    private func put(
        _ id: String, in pool: PoolName?, access: String? = nil, life: Duration = .seconds(600),
        overwrite: OverwriteRule = .never, _ fixture: StoreFixture
    ) async throws -> PutReply {
        let now = try await fixture.now()
        return try await fixture.directory.put(
            AccountPut(
                id: try AccountID(id), provider: StoreFixture.provider, name: nil,
                credentials: Credentials(
                    refreshToken: Secret("refresh-\(id)"), accessToken: access.map { Secret($0) },
                    expiresAt: access.map { _ in now + life }),
                dueAt: now, overwrite: overwrite, traits: TraitChanges(pool: pool.map { .set($0) } ?? .keep)))
    }

    @Test func theAccountsOfAPoolAreThoseThatSaySo() async throws {
        for partitions in [1, 16] {
            try await StoreFixture.run(partitions: partitions) { fixture in
                let pools = pools(fixture)
                #expect(try await pools.members(of: warp).isEmpty)
                for id in ["c", "a", "b"] { _ = try await put(id, in: warp, fixture) }
                _ = try await put("else", in: other, fixture)
                _ = try await put("outside", in: nil, fixture)
                #expect(try await pools.members(of: warp).map(\.id.rawValue) == ["a", "b", "c"])
                // One moves, one leaves, one is removed.
                let move = TraitChanges(pool: .set(other))
                _ = try await fixture.directory.edit(try AccountID("a"), AccountEdit(traits: move))
                _ = try await fixture.directory.edit(
                    try AccountID("b"), AccountEdit(traits: TraitChanges(pool: .remove)))
                _ = try await fixture.directory.remove(try AccountID("c"), ifGeneration: nil)
                #expect(try await pools.members(of: warp).isEmpty)
                #expect(try await pools.members(of: other).map(\.id.rawValue) == ["a", "else"])
            }
        }
    }

    @Test func anAccountThatCannotBeReadIsLeftOutAndKeepsNobodyFromTheOthers() async throws {
        try await StoreFixture.run { fixture in
            let pools = pools(fixture)
            for id in ["a", "b", "c"] { _ = try await put(id, in: warp, access: "at-\(id)", fixture) }
            let keys = fixture.link.keys
            // Sealed under another key, or written by hand.
            _ = try await fixture.redis("HSET", keys.account(try AccountID("a")), "access", "no sealed text")
            _ = try await fixture.redis("HSET", keys.account(try AccountID("b")), "generation", "many")
            #expect(try await pools.members(of: warp).map(\.id.rawValue) == ["c"])
            await #expect(throws: StoreError.self) { try await fixture.directory.list(after: nil, limit: 10) }
        }
    }

    @Test func anIndexThatIsIncompleteIsCompletedOncePerReign() async throws {
        try await StoreFixture.run { fixture in
            for id in ["a", "b"] { _ = try await put(id, in: warp, fixture) }
            _ = try await put("outside", in: nil, fixture)
            let key = fixture.link.keys.pooled(0)
            // As an older version left it; and one that has moved since it was looked at.
            _ = try await fixture.redis("DEL", key)
            _ = try await fixture.redis("HSET", key, "b", "other")
            #expect(try await pools(fixture).members(of: warp).isEmpty)
            #expect(try await fixture.schedule.reconcile() == 0)
            #expect(try await pools(fixture).members(of: warp).map(\.id.rawValue) == ["a"])
            #expect(try await fixture.redis("HGET", key, "b").string == "other")
            #expect(try await fixture.redis("HLEN", key).int == 2)
        }
    }

    @Test func aFallbackWaitsForTheTokensOfTheOthers() async throws {
        try await StoreFixture.run { fixture in
            let fallback = FallbackToken(token: Secret("stand-in"), pool: warp)
            let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let desk = FallbackDesk(
                tokens: [:], pools: PoolFallbacks(tokens: [warp: fallback], store: pools(fixture), rest: .zero),
                logger: quiet)
            let provider = RefusingEndpoint()
            let policies = OnePolicy()
            let coordinator = RefreshCoordinator(
                deck: FlightDeck(
                    store: fixture.store, endpoint: provider, journal: ModelJournal(), time: fixture.link.clock,
                    hub: ChangeHub(), cache: TokenCache(), logger: quiet),
                policies: policies, origin: StoreFixture.instance)
            let reader = TokenReader(coordinator: coordinator, policies: policies, fallbacks: desk)

            let id = try AccountID("a")
            _ = try await put("a", in: warp, fixture)
            _ = try await put("b", in: warp, access: "good", fixture)
            _ = try await put("c", in: other, access: "good", fixture)
            // Redis knows that b has one.
            await #expect(throws: RefreshFailure.self) { _ = try await reader.serve(TokenRequest(account: id)) }
            #expect(try await fixture.account("a")?.status == .reauthRequired)
            // A paused one is of no use.
            _ = try await fixture.directory.edit(try AccountID("b"), AccountEdit(enabled: false))
            guard case .fallback(fallback, id, let failure) = try await reader.serve(TokenRequest(account: id)) else {
                Issue.record("nothing stood in")
                return
            }
            #expect(failure.code == .reauthRequired)
            // Nothing of it is in Redis.
            for key in try await fixture.redis("KEYS", "*").array ?? [] {
                guard let key = key.string, let dump = try await fixture.redis("DUMP", key).bytes else { continue }
                #expect(!String(decoding: dump, as: UTF8.self).contains("stand-in"))
            }
        }
    }

    /// Against the script that has the last word.
    @Test func anAcquiredAccountNeverReplacesAnotherAndIsNeverStoredTwice() async throws {
        try await StoreFixture.run { fixture in
            let policies = OnePolicy()
            let vault = MemoryVault()
            let time = fixture.link.clock
            let keeper = AcquisitionKeeper(
                store: RedisAcquisitionStore(link: fixture.link), acquirer: NoAcquirer(), vault: vault,
                directory: fixture.directory, intake: AccountIntake(policies: policies), time: time,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            func left(_ attempt: String, _ id: String, token: String) throws -> AcquisitionRun {
                AcquisitionRun(
                    attempt: AttemptID(rawValue: attempt), pool: warp, tier: try TierName("anonymous"),
                    startedAt: time.wall(), uuid: "u",
                    account: AcquiredAccount(
                        id: try AccountID(id), provider: StoreFixture.provider, name: "bad\nname",
                        credential: .refreshToken(Secret(token))))
            }

            #expect(try await put("mine", in: nil, fixture) == .created(Generation(1)))
            vault.set([try left("run-1", "mine", token: "acquired-1")])
            await keeper.finishLeft([:])
            #expect(vault.left().isEmpty)
            #expect(try await fixture.account("mine")?.generation == Generation(1))
            let members = try await pools(fixture).members(of: warp)
            #expect(members.map(\.id.rawValue) == ["mine-run-1"])
            #expect(members.first?.tier?.rawValue == "anonymous" && members.first?.name.isEmpty == true)

            // The disk did not learn that it is stored.
            vault.set([try left("run-1", "mine", token: "acquired-1")])
            await keeper.finishLeft([:])
            // The steps brought what another run had brought already.
            vault.set([try left("run-2", "again", token: "acquired-1")])
            await keeper.finishLeft([:])
            #expect(vault.left().isEmpty)
            #expect(try await fixture.directory.count() == 2)
            #expect(try await pools(fixture).members(of: warp).first?.generation == Generation(1))
        }
    }
}

private struct OnePolicy: PolicySource {
    var providers: [ProviderName] { [StoreFixture.provider] }
    func policy(for provider: ProviderName) -> RefreshPolicy? {
        provider == StoreFixture.provider ? RefreshPolicy(provider: provider) : nil
    }
}

/// Refuses every refresh token.
private struct RefusingEndpoint: TokenEndpoint {
    func spend(
        _ claim: RefreshClaim, policy: RefreshPolicy, sendBy: MonotonicTime, deadline: MonotonicTime
    ) async -> ExchangeResult {
        .answered(RawTokenResponse(status: 400, headers: [], body: [], requestedAt: WallTime(milliseconds: 0)))
    }

    func interpret(_ response: RawTokenResponse, provider: ProviderName) -> ExchangeOutcome { .refused("refused") }
}

private struct NoAcquirer: AccountAcquirer {
    func advance(
        _ run: AcquisitionRun, keep: @Sendable (AcquisitionRun) -> Void
    ) async throws(AcquisitionFailure) -> AcquiredAccount {
        throw AcquisitionFailure(.refused, step: nil, "no")
    }

    func progress(of run: AcquisitionRun) -> AcquisitionProgress { .init(values: 0, isReadable: true) }
}

private final class MemoryVault: AcquisitionRunVault {
    private let runs = NIOLockedValueBox<[AcquisitionRun]>([])

    func set(_ all: [AcquisitionRun]) { runs.withLockedValue { $0 = all } }
    func keep(_ run: AcquisitionRun) throws(AcquisitionFailure) { set([run]) }
    func drop(_ attempt: AttemptID) { runs.withLockedValue { $0.removeAll { $0.attempt == attempt } } }
    func left() -> [AcquisitionRun] { runs.withLockedValue { $0 } }
}
