import Logging
import PerennialTesting
import Testing

@testable import RefreshCore

@Suite("A configured token that stands in for a pool's", .timeLimit(.minutes(10)))
struct PoolFallbackTests {
    private static let fallback = FallbackToken(token: Secret("stand-in"), pool: warp)

    private struct Bench {
        let fleet: Fleet<ManualTimeSource>
        let reader: TokenReader
        let pools = FakePoolStore()
        let log = CapturedLog()

        /// - Parameter own: accounts with a fallback of their own.
        init(own: [AccountID: FallbackToken] = [:]) async throws {
            fleet = try await Fleet(ManualTimeSource())
            let desk = FallbackDesk(
                tokens: own, pools: PoolFallbacks(tokens: [warp: PoolFallbackTests.fallback], store: pools),
                logger: log.logger)
            reader = TokenReader(coordinator: fleet.one.coordinator, policies: fleet.policies, fallbacks: desk)
        }

        /// An account without a valid token whose refreshes fail.
        func add(_ name: String, pool: PoolName? = warp) async throws -> AccountID {
            let id = try await fleet.add(name, remaining: .seconds(-10))
            _ = try await fleet.store.edit(
                id, AccountEdit(traits: TraitChanges(pool: pool.map { .set($0) } ?? .keep)))
            return id
        }

        func member(_ name: String, life: Duration = .seconds(600), enabled: Bool = true) throws -> AccountSnapshot {
            let now = fleet.time.wall()
            return AccountSnapshot(
                id: try accountID(name), provider: acme, enabled: enabled, generation: Generation(1),
                accessToken: Secret("at-\(name)"), expiresAt: now + life, createdAt: now, updatedAt: now, pool: warp)
        }

        /// What is served; nil for an error.
        func serve(_ id: AccountID) async -> ServedToken? {
            try? await reader.serve(TokenRequest(account: id))
        }
    }

    private func isFallback(_ served: ServedToken?) -> Bool {
        if case .fallback(Self.fallback, _, _)? = served { true } else { false }
    }

    @Test("when no account of the pool has a valid token")
    func nothingElse() async throws {
        let bench = try await Bench()
        let id = try await bench.add("a")
        bench.fleet.endpoint.script(.unsent)
        bench.pools.set([try bench.member("a", life: .seconds(-10)), try bench.member("b", enabled: false)])
        #expect(isFallback(await bench.serve(id)))
        #expect(bench.log.lines.count { $0.contains("fallback token of the pool warp") } == 1)
        #expect(!bench.log.lines.contains { $0.contains("stand-in") })
        // Its own again.
        bench.fleet.time.advance(by: .seconds(400))
        guard case .account? = await bench.serve(id) else {
            Issue.record("still the stand-in")
            return
        }
    }

    @Test("not while another account of the pool has one, and from the moment at which that ends")
    func another() async throws {
        let bench = try await Bench()
        let id = try await bench.add("a")
        bench.fleet.endpoint.script(.status(400, error: "invalid_grant", retryAfter: nil))
        bench.pools.set([try bench.member("b", life: .seconds(3))])
        #expect(await bench.serve(id) == nil)
        bench.fleet.time.advance(by: .seconds(4))
        #expect(isFallback(await bench.serve(id)))
    }

    @Test("not for an account outside of the pool, a paused one, or one that does not exist")
    func outside() async throws {
        let bench = try await Bench()
        let outsider = try await bench.add("outsider", pool: nil)
        let paused = try await bench.add("paused")
        _ = try await bench.fleet.store.edit(paused, AccountEdit(enabled: false))
        bench.fleet.endpoint.script(.unsent, .unsent)
        #expect(await bench.serve(outsider) == nil)
        #expect(await bench.serve(paused) == nil)
        #expect(await bench.serve(try accountID("ghost")) == nil)
        #expect(bench.pools.looks == 0, "nobody had to be asked")
    }

    @Test("an account's own fallback goes before")
    func own() async throws {
        let mine = FallbackToken(token: Secret("mine"))
        let bench = try await Bench(own: [try accountID("a"): mine])
        let id = try await bench.add("a")
        bench.fleet.endpoint.script(.unsent)
        guard case .fallback(mine, _, _)? = await bench.serve(id) else {
            Issue.record("not its own")
            return
        }
        #expect(bench.pools.looks == 0)
    }

    @Test("a crowd of readers asks about the pool once in a while, whatever the answer is")
    func noStorm() async throws {
        for hasOther in [false, true] {
            let bench = try await Bench()
            let id = try await bench.add("a")
            bench.fleet.endpoint.script(.status(400, error: "invalid_grant", retryAfter: nil))
            bench.pools.set(hasOther ? [try bench.member("b")] : [])
            await withTaskGroup { group in
                for _ in 0..<300 { group.addTask { _ = await bench.serve(id) } }
            }
            #expect(bench.pools.looks == 1)
        }
    }

    @Test("while the store is away memory says what the others have")
    func storeAway() async throws {
        let bench = try await Bench()
        let (id, other) = (try await bench.add("a"), try await bench.fleet.add("b", remaining: .seconds(600)))
        _ = try await bench.fleet.store.edit(other, AccountEdit(traits: TraitChanges(pool: .set(warp))))
        bench.pools.setDown(true)
        bench.fleet.endpoint.script(.unsent)
        // Nothing is known of the other one yet.
        #expect(isFallback(await bench.serve(id)))
        _ = await bench.serve(other)
        await bench.fleet.store.setDown(true)
        bench.fleet.time.advance(by: .seconds(10))
        #expect(await bench.serve(id) == nil)
    }
}
