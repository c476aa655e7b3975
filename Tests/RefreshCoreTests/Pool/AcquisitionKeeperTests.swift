import Logging
import PerennialTesting
import RefreshCore
import Testing

@Suite(.timeLimit(.minutes(10)))
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
        #expect(vault.everKept >= 1)
        #expect(vault.left().isEmpty)
        #expect(permits.ends == [.init(error: nil, retryAfter: nil)])
    }

    @Test("trap 8: a new account never takes the place of another; where its name is taken it gets another one")
    func neverReplaces() async throws {
        let store = ModelStore(time: time)
        let mine = AccountPut(
            id: try accountID("personal"), provider: acme, name: "mine",
            credentials: Credentials(refreshToken: Secret("my-own")), dueAt: time.wall())
        _ = try await store.put(mine)
        let before = try #require(try await store.read(mine.id))
        let vault = FakeVault()
        let keeper = keeper(store, FakeAcquirer([.success(try account("personal"))]), vault)
        guard case .acquired(let id) = try await keeper.acquire(for: warp, limits: limits) else {
            Issue.record("what was received is lost")
            return
        }
        #expect(id.rawValue.hasPrefix("personal-"))
        #expect(try await store.read(id)?.pool == warp)
        #expect(try await store.read(mine.id) == before)
        #expect(vault.left().isEmpty)
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

    @Test(
        "an account that cannot be stored yet stays on disk and is stored as soon as that works, by the next process too"
    )
    func storedLater() async throws {
        let store = ModelStore(time: time)
        let vault = FakeVault()
        let first = keeper(store, FakeAcquirer([.success(try account("new-1"))]), vault)
        await store.setDown(true)
        guard case .failed(let failure) = try await first.acquire(for: warp, limits: limits) else {
            Issue.record("it was stored nowhere")
            return
        }
        #expect(failure.cause == .unstored)
        #expect(vault.left().count == 1)
        await first.finishLeft([warp: limits])
        #expect(vault.left().count == 1)
        await store.setDown(false)
        // Whatever has become of the pool in the configuration.
        await keeper(store, FakeAcquirer([]), vault).finishLeft([:])
        #expect(vault.left().isEmpty)
        #expect(try await store.read(try accountID("new-1"))?.pool == warp)
        #expect(try await store.read(try accountID("new-1"))?.tier == limits.tier)
    }

    @Test("no account is acquired while one that was acquired earlier only has to be stored")
    func storedBeforeAnother() async throws {
        let store = ModelStore(time: time)
        let vault = FakeVault()
        await store.setDown(true)
        _ = try await keeper(store, FakeAcquirer([.success(try account("new-1"))]), vault)
            .acquire(for: warp, limits: limits)
        await store.setDown(false)
        let acquirer = FakeAcquirer([.success(try account("new-2", token: "another"))])
        let next = keeper(store, acquirer, vault)
        #expect(try await next.acquire(for: warp, limits: limits) == .acquired(try accountID("new-1")))
        #expect(acquirer.runs == 0)
        #expect(vault.left().isEmpty)
        #expect(try await next.acquire(for: warp, limits: limits) == .acquired(try accountID("new-2")))
    }

    @Test("an account of which the reply to storing it was lost is not stored twice")
    func repeated() async throws {
        let store = ModelStore(time: time)
        let vault = FakeVault()
        let keeper = keeper(store, FakeAcquirer([.success(try account("new-1"))]), vault)
        await store.setDown(true)
        _ = try await keeper.acquire(for: warp, limits: limits)
        let kept = try #require(vault.left().first)
        await store.setDown(false)
        await keeper.finishLeft([:])
        try vault.keep(kept)
        await keeper.finishLeft([:])
        #expect(vault.left().isEmpty)
        #expect(try await store.read(try accountID("new-1"))?.generation == Generation(1))
        #expect(try await store.count() == 1)
    }

    @Test("with a full disk nothing is asked for, and it is said")
    func fullDisk() async throws {
        let store = ModelStore(time: time)
        let acquirer = FakeAcquirer([.success(try account("new-1"))])
        let keeper = keeper(store, acquirer, FakeVault(isFull: true))
        guard case .failed(let failure) = try await keeper.acquire(for: warp, limits: limits) else {
            Issue.record("it went on")
            return
        }
        #expect(failure.message == "the disk is full")
        #expect(acquirer.runs == 0)
    }

    // MARK: Half done

    private static let lost = AcquisitionFailure(.unreachable, step: "sign_in", "timed out")

    @Test(
        "what was received is gone on with behind its last answer, by the next process too, before anything new begins")
    func goesOn() async throws {
        for isSameProcess in [true, false] {
            let store = ModelStore(time: time)
            let vault = FakeVault()
            let acquirer = FakeAcquirer([.failure(Self.lost), .success(try account("new-1"))], bringing: .values(1))
            let first = keeper(store, acquirer, vault)
            #expect(try await first.acquire(for: warp, limits: limits) == .failed(Self.lost))
            let left = try #require(vault.left().first)
            let continued = permits.continued
            if isSameProcess {
                _ = try await first.acquire(for: warp, limits: limits)
            } else {
                let second = keeper(store, acquirer, vault)
                await second.finishLeft([warp: limits])
                await second.drain()
            }
            let seen = try #require(acquirer.seen.last)
            #expect(acquirer.runs == 2)
            #expect(permits.continued == continued + 1)
            #expect(!"\(left)".contains("[7]"), "an answer never shows")
            #expect(seen.attempt == left.attempt && seen.uuid == left.uuid && seen.startedAt == left.startedAt)
            #expect(seen.answers == left.answers && seen.tries == 2)
            #expect(vault.left().isEmpty)
            #expect(try await store.read(try accountID("new-1"))?.pool == warp)
        }
    }

    @Test("of a run that has brought nothing nothing stays")
    func nothing() async throws {
        let vault = FakeVault()
        let acquirer = FakeAcquirer([.failure(Self.lost)])
        _ = try await keeper(ModelStore(time: time), acquirer, vault).acquire(for: warp, limits: limits)
        #expect(vault.left().isEmpty)
        // Nor of one that was cut off in its first request.
        try vault.keep(
            AcquisitionRun(
                attempt: AttemptID(rawValue: "cut"), pool: warp, tier: limits.tier, startedAt: time.wall(), uuid: "u"))
        _ = try await keeper(ModelStore(time: time), acquirer, vault).acquire(for: warp, limits: limits)
        #expect(vault.left().isEmpty)
    }

    @Test("what is refused is kept and not sent again by this process; a new run begins instead")
    func refused() async throws {
        let vault = FakeVault()
        let refusal = AcquisitionFailure(.refused, step: "sign_in", "HTTP 403")
        let acquirer = FakeAcquirer([.failure(refusal), .failure(refusal)], bringing: .values(1))
        let keeper = keeper(ModelStore(time: time), acquirer, vault)
        _ = try await keeper.acquire(for: warp, limits: limits)
        await keeper.finishLeft([warp: limits])
        #expect(acquirer.runs == 1)
        _ = try await keeper.acquire(for: warp, limits: limits)
        #expect(acquirer.seen.map(\.answers.count) == [0, 0])
        #expect(vault.left().count == 2)
    }

    @Test("nothing is tried without end")
    func tries() async throws {
        let vault = FakeVault()
        let acquirer = FakeAcquirer([.failure(Self.lost)], bringing: .values(1))
        _ = try await keeper(ModelStore(time: time), acquirer, vault).acquire(for: warp, limits: limits)
        for _ in 0..<10 {
            let rest = FakeAcquirer([.failure(Self.lost)])
            let keeper = keeper(ModelStore(time: time), rest, vault)
            await keeper.finishLeft([warp: limits])
            await keeper.drain()
        }
        #expect(vault.left().first?.tries == 5)
    }

    @Test("a chain that leaves one half-done run after the other is not run again until somebody has looked")
    func tooMany() async throws {
        let vault = FakeVault()
        let acquirer = FakeAcquirer(
            Array(repeating: .failure(AcquisitionFailure(.unusable, step: "sign_in", "no token")), count: 20),
            bringing: .values(1))
        let keeper = keeper(ModelStore(time: time), acquirer, vault)
        acquirer.becomeUnreadable()
        for _ in 0..<12 { _ = try await keeper.acquire(for: warp, limits: limits) }
        #expect(acquirer.runs == 10)
        #expect(permits.claims == 10)
        #expect(vault.left().count == 10)
    }

    @Test("a run goes on when whoever began it is gone, and a shutdown waits for it")
    func survives() async throws {
        let store = ModelStore(time: time)
        let acquirer = FakeAcquirer([.success(try account("new-1"))], bringing: .valuesAndWaits(1))
        let keeper = keeper(store, acquirer, FakeVault())
        let beginner = Task { try await keeper.acquire(for: warp, limits: limits) }
        try await eventually("it waits for an answer") { acquirer.isWaiting }
        beginner.cancel()
        #expect(keeper.isRunning(warp))
        let shutdown = Task { await keeper.drain() }
        acquirer.release()
        await shutdown.value
        #expect(!keeper.isRunning(warp))
        #expect(try await store.read(try accountID("new-1"))?.pool == warp)
    }
}
