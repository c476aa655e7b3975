import Crypto
import RedisClient
import RedisStore
import RefreshCore
import Testing

@testable import Sealing

/// Trap 9: a secret that cannot be sealed does not get into Redis, neither sealed nor plain.
@Suite(.timeLimit(.minutes(10)))
struct UnsealableTests {
    /// The store as an instance sees it whose newest key is of no use for AES; older ones still open.
    private func broken(
        _ fixture: StoreFixture, _ key: SealingKey, gate: StoreGate = StoreGate()
    ) throws -> RedisLink {
        let unusable = SealingKey(key: SymmetricKey(size: .init(bitCount: 40)), id: [1, 2, 3, 4])
        return RedisLink(
            client: fixture.client, keys: fixture.link.keys, ring: try KeyRing(keys: [unusable, key]),
            clock: fixture.link.clock, gate: gate)
    }

    private func contents(_ fixture: StoreFixture) async throws -> String {
        var text = ""
        for key in try await fixture.redis("KEYS", "*").array ?? [] {
            guard let name = key.string else { continue }
            text += String(decoding: try await fixture.redis("DUMP", name).bytes ?? [], as: UTF8.self)
            guard try await fixture.redis("TYPE", name).string == "hash" else { continue }
            for value in try await fixture.redis("HGETALL", name).array ?? [] {
                text += String(decoding: value.bytes ?? [], as: UTF8.self)
            }
        }
        return text
    }

    private func expectSealingError(_ body: () async throws -> Void) async {
        do {
            try await body()
            Issue.record("it was stored")
        } catch {
            #expect((error as? StoreError)?.code == .sealing)
            #expect(!"\(error)".contains("planted"))
        }
    }

    @Test func whatCannotBeSealedIsNotWritten() async throws {
        let key = SealingKey.generate()
        try await StoreFixture.run(ring: try KeyRing(keys: [key])) { fixture in
            try await fixture.add("a", access: "access-1")
            let before = try await fixture.account("a")
            // An instance that starts with such a key does not open the store at all.
            let closed = try broken(fixture, key)
            await expectSealingError { try await StoreMeta.open(closed) }
            let link = try broken(fixture, key, gate: fixture.link.gate)
            let directory = RedisAccountDirectory(link: link, origin: StoreFixture.instance)
            for id in ["a", "b"] {
                await expectSealingError {
                    _ = try await directory.put(
                        AccountPut(
                            id: AccountID(id), provider: StoreFixture.provider, name: nil,
                            credentials: Credentials(refreshToken: Secret("planted-refresh")),
                            dueAt: try await fixture.now()))
                }
            }
            #expect(try await fixture.account("a") == before)
            #expect(try await fixture.account("b") == nil)

            _ = try await fixture.begin("a", "attempt-1")
            let now = try await fixture.now()
            await expectSealingError {
                _ = try await RedisAccountStore(link: link, origin: StoreFixture.instance).commit(
                    CommitRequest(
                        account: AccountID("a"), provider: StoreFixture.provider,
                        attempt: AttemptID(rawValue: "attempt-1"), generation: Generation(1),
                        accessToken: Secret("planted-access"), refreshToken: Secret("planted-refresh"),
                        tokenType: "Bearer", expiresAt: now + .seconds(3600), obtainedAt: now,
                        dueAt: now + .seconds(3000), isRecovery: false))
            }
            #expect(try await fixture.account("a")?.generation == Generation(1))
            #expect(!(try await contents(fixture)).contains("planted"))
            // The answer is still good for whoever can seal it.
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .committed(enabled: true))
        }
    }
}
