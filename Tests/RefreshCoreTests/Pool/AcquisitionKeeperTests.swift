import Logging
import PerennialTesting
import RefreshCore
import Testing

@Suite(.timeLimit(.minutes(1)))
struct AcquisitionKeeperTests {
    private let time = ManualTimeSource()
    private let permits = FakeAcquisitionStore()
    private let limits = AcquisitionLimits(tier: PoolFixture.tier("anonymous"), longestRun: .seconds(40))

    private func account(_ id: String, token: String = "refresh-token") throws -> AcquiredAccount {
        AcquiredAccount(
            id: try accountID(id), provider: acme, name: "new", credential: .refreshToken(Secret(token)))
    }

    private func keeper(_ store: ModelStore, _ acquirer: FakeAcquirer, _ vault: FakeVault) -> AcquisitionKeeper {
        AcquisitionKeeper(
            store: permits, acquirer: acquirer, vault: vault, directory: store,
            intake: AccountIntake(policies: ModelPolicies(RefreshPolicy(provider: acme))), time: time,
            logger: CapturedLog().logger)
    }

    @Test("a new account joins the pool's tier and is refreshed at once; nothing is left on disk")
    func joins() async throws {
        let store = ModelStore(time: time)
        let vault = FakeVault()
        let keeper = keeper(store, FakeAcquirer([.success(try account("new-1"))]), vault)
        #expect(try await keeper.acquire(for: warp, limits: limits) == .acquired(try accountID("new-1")))
        let stored = try #require(try await store.read(try accountID("new-1")))
        #expect(stored.pool == warp)
        #expect(stored.tier == limits.tier)
        #expect(stored.dueAt == time.wall())
        #expect(vault.everKept == 1)
        #expect(vault.left().isEmpty)
        #expect(permits.ends == [.init(error: nil, retryAfter: nil)])
    }

    @Test("trap 8: a new account never takes the place of another")
    func neverReplaces() async throws {
        let store = ModelStore(time: time)
        let mine = AccountPut(
            id: try accountID("personal"), provider: acme, name: "mine",
            credentials: Credentials(refreshToken: Secret("my-own")), dueAt: time.wall())
        _ = try await store.put(mine)
        let before = try #require(try await store.read(mine.id))
        let vault = FakeVault()
        let keeper = keeper(store, FakeAcquirer([.success(try account("personal"))]), vault)
        guard case .failed(let failure) = try await keeper.acquire(for: warp, limits: limits) else {
            Issue.record("the account was replaced")
            return
        }
        #expect(failure.cause == .unusable)
        #expect(try await store.read(mine.id) == before)
        #expect(permits.ends.first?.error != nil)
    }

    @Test("without a permit nothing is sent")
    func permit() async throws {
        let acquirer = FakeAcquirer([])
        permits.permit(.underWay(until: time.wall() + .seconds(5)))
        let outcome = try await keeper(ModelStore(time: time), acquirer, FakeVault()).acquire(for: warp, limits: limits)
        #expect(outcome == .waiting(.underWay(until: time.wall() + .seconds(5))))
        #expect(acquirer.runs == 0)
        #expect(permits.ends.isEmpty)
    }

    @Test("a failure puts the next run off, as long as the server asked for")
    func failure() async throws {
        let failure = AcquisitionFailure(.throttled, step: "create", "HTTP 429", retryAfter: .seconds(300))
        let keeper = keeper(ModelStore(time: time), FakeAcquirer([.failure(failure)]), FakeVault())
        #expect(try await keeper.acquire(for: warp, limits: limits) == .failed(failure))
        #expect(permits.ends == [.init(error: "step create: HTTP 429", retryAfter: .seconds(300))])
    }

    @Test("an account that cannot be stored yet stays on disk and is stored by the next reign")
    func storedLater() async throws {
        let store = ModelStore(time: time)
        let vault = FakeVault()
        let keeper = keeper(store, FakeAcquirer([.success(try account("new-1"))]), vault)
        await store.setDown(true)
        guard case .failed(let failure) = try await keeper.acquire(for: warp, limits: limits) else {
            Issue.record("it was stored nowhere")
            return
        }
        #expect(failure.cause == .unstored)
        #expect(vault.left().count == 1)
        await keeper.storeLeft([warp: limits])
        #expect(vault.left().count == 1)
        await store.setDown(false)
        await keeper.storeLeft([warp: limits])
        #expect(vault.left().isEmpty)
        #expect(try await store.read(try accountID("new-1"))?.pool == warp)
    }

    @Test("with a full disk nothing is stored, and it is said")
    func fullDisk() async throws {
        let store = ModelStore(time: time)
        let keeper = keeper(store, FakeAcquirer([.success(try account("new-1"))]), FakeVault(isFull: true))
        guard case .failed(let failure) = try await keeper.acquire(for: warp, limits: limits) else {
            Issue.record("it went on")
            return
        }
        #expect(failure.message == "the disk is full")
        #expect(try await store.read(try accountID("new-1")) == nil)
    }
}
