import Logging
import PerennialTesting
import Testing

@testable import RefreshCore

@Suite("A configured token that stands in", .timeLimit(.minutes(10)))
struct FallbackTests {
    private static let fallback = FallbackToken(token: Secret("stand-in"))

    private struct Bench {
        let fleet: Fleet<ManualTimeSource>
        let reader: TokenReader
        let desk: FallbackDesk
        let log = CapturedLog()

        init(for names: String...) async throws {
            fleet = try await Fleet(ManualTimeSource())
            desk = FallbackDesk(
                tokens: Dictionary(uniqueKeysWithValues: try names.map { (try AccountID($0), FallbackTests.fallback) }),
                logger: log.logger)
            reader = TokenReader(coordinator: fleet.one.coordinator, policies: fleet.policies, fallbacks: desk)
        }

        func serve(_ id: AccountID, refused: Generation? = nil) async throws -> ServedToken {
            try await reader.serve(TokenRequest(account: id, refused: refused))
        }
    }

    private func isFallback(_ served: ServedToken) -> RefreshFailure.Code? {
        guard case .fallback(Self.fallback, _, let failure) = served else { return nil }
        return failure.code
    }

    @Test("never instead of a valid token, not even of one whose refresh fails")
    func validFirst() async throws {
        let bench = try await Bench(for: "alice")
        let id = try await bench.fleet.add("alice", remaining: .seconds(30))
        bench.fleet.endpoint.script(.unsent, .unsent, .unsent)
        for _ in 0..<3 {
            guard case .account(let answer) = try await bench.serve(id) else {
                Issue.record("the stand-in was served although there is a valid token")
                return
            }
            #expect(answer.accessToken == Secret("at-alice-0"))
        }
        #expect(bench.log.lines.isEmpty)
    }

    @Test("when the token has ended and refreshing fails, whatever the reason; and its own again afterwards")
    func standsIn() async throws {
        let bench = try await Bench(for: "alice")
        let id = try await bench.fleet.add("alice", remaining: .seconds(-10))
        bench.fleet.endpoint.script(.unsent)
        #expect(isFallback(try await bench.serve(id)) == .providerUnavailable)
        #expect(isFallback(try await bench.serve(id)) != nil)
        bench.fleet.time.advance(by: .seconds(400))
        guard case .account(let answer) = try await bench.serve(id) else {
            Issue.record("still the stand-in")
            return
        }
        #expect(answer.snapshot.generation == Generation(2))
        #expect(bench.log.lines.count { $0.contains("serving the configured fallback") } == 1)
        #expect(bench.log.lines.count { $0.contains("no longer serving") } == 1)
        #expect(!bench.log.lines.contains { $0.contains("stand-in") })
    }

    @Test("a crowd of readers, and a crowd of 401s, cost the store and the provider next to nothing")
    func noStorm() async throws {
        let bench = try await Bench(for: "alice")
        let id = try await bench.fleet.add("alice", remaining: .seconds(-10))
        bench.fleet.endpoint.script(.unsent)
        for number in 0..<500 {
            #expect(isFallback(try await bench.serve(id, refused: number % 2 == 0 ? Generation(1) : nil)) != nil)
        }
        #expect(await bench.fleet.store.callCount(.begin) <= 3)
        #expect(await bench.fleet.store.callCount(.read) <= 3)
    }

    @Test("a refused account, and one that was never seen while the store is away")
    func otherReasons() async throws {
        let bench = try await Bench(for: "alice", "bob")
        let id = try await bench.fleet.add("alice", remaining: .seconds(-10))
        bench.fleet.endpoint.script(.status(400, error: "invalid_grant", retryAfter: nil))
        #expect(isFallback(try await bench.serve(id)) == .reauthRequired)
        await bench.fleet.store.setDown(true)
        #expect(isFallback(try await bench.serve(try AccountID("bob"))) == .storeUnavailable)
    }

    @Test("a new log-in is served at once")
    func newLogin() async throws {
        let bench = try await Bench(for: "alice")
        let id = try await bench.fleet.add("alice", remaining: .seconds(-10))
        bench.fleet.endpoint.script(.status(400, error: "invalid_grant", retryAfter: nil))
        #expect(isFallback(try await bench.serve(id)) == .reauthRequired)
        try await bench.fleet.add("alice", remaining: .seconds(3600))
        guard case .account = try await bench.serve(id) else {
            Issue.record("still the stand-in")
            return
        }
    }

    @Test("not for an account that does not exist, or that was paused; and only for those that have one")
    func notForThese() async throws {
        let bench = try await Bench(for: "alice", "ghost")
        func code(_ id: AccountID) async -> RefreshFailure.Code? {
            do throws(RefreshFailure) {
                _ = try await bench.reader.serve(TokenRequest(account: id))
                return nil
            } catch { return error.code }
        }
        #expect(await code(try AccountID("ghost")) == .accountNotFound)
        let id = try await bench.fleet.add("alice", remaining: .seconds(-10))
        _ = try await bench.fleet.store.edit(id, AccountEdit(enabled: false))
        #expect(await code(id) == .disabled)
        let other = try await bench.fleet.add("carol", remaining: .seconds(-10))
        bench.fleet.endpoint.script(.unsent)
        #expect(await code(other) == .providerUnavailable)
    }
}
