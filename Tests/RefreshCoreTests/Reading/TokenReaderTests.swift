import PerennialTesting
import RefreshCore
import Testing

@Suite("Reading a token", .timeLimit(.minutes(10)))
struct TokenReaderTests {
    private func failure(_ reader: TokenReader, _ request: TokenRequest) async -> RefreshFailure.Code? {
        do throws(RefreshFailure) {
            _ = try await reader.token(request)
            return nil
        } catch {
            return error.code
        }
    }

    @Test("fresh: answered without a refresh, the second time without asking the store")
    func fresh() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(301))
        let first = try await fleet.one.reader.token(TokenRequest(account: id))
        #expect(first.source == .redis)
        #expect(first.accessToken == Secret("at-alice-0"))
        #expect(try await fleet.one.reader.token(TokenRequest(account: id)).source == .memory)
        #expect(fleet.one.reader.warm(id)?.source == .memory)
        #expect(await fleet.store.callCount(.read) == 1)
        #expect(fleet.endpoint.uses.isEmpty)
    }

    @Test("advisory: answered at once with the old token, refreshed behind the caller's back")
    func advisory() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(299))
        fleet.endpoint.hold()
        let answer = try await fleet.one.reader.token(TokenRequest(account: id))
        #expect(answer.accessToken == Secret("at-alice-0"))
        #expect(!answer.isStale)
        #expect(fleet.one.reader.warm(id) == nil)
        fleet.endpoint.letGo()
        try await eventually("the refresh lands") { await fleet.store.snapshot(id)?.generation == Generation(2) }
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test(
        "mandatory: the caller waits for the refresh", arguments: [Duration.seconds(60), .seconds(1), .seconds(-100)])
    func mandatory(remaining: Duration) async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: remaining)
        let answer = try await fleet.one.reader.token(TokenRequest(account: id))
        #expect(answer.snapshot.generation == Generation(2))
        #expect(answer.source == .refresh)
        #expect(!answer.isStale)
    }

    @Test("trap 7's kin: an account without an access token yet is refreshed, never answered empty")
    func noTokenYet() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: nil)
        #expect(try await !fleet.one.reader.token(TokenRequest(account: id)).accessToken.isEmpty)
    }

    @Test("min_ttl: a refresh when the token is too short, even if that brings no longer one")
    func minimumTTL() async throws {
        let fleet = try await Fleet(ManualTimeSource(), lifetime: .seconds(600))
        let id = try await fleet.add("alice", remaining: .seconds(1000), lifetime: .seconds(3600))
        let reader = fleet.one.reader
        #expect(try await reader.token(TokenRequest(account: id, minimumTTL: .seconds(900))).source == .redis)
        let answer = try await reader.token(TokenRequest(account: id, minimumTTL: .seconds(2000)))
        #expect(answer.source == .refresh)
        #expect(answer.expiresAt == fleet.time.wall() + .seconds(600))
        // Longer than these tokens live: a young one is the best there is, so no read refreshes without end.
        for _ in 0..<20 { _ = try await reader.token(TokenRequest(account: id, minimumTTL: .seconds(2000))) }
        #expect(fleet.endpoint.uses.count == 1)
        fleet.time.advance(by: .seconds(61))
        #expect(try await reader.token(TokenRequest(account: id, minimumTTL: .seconds(2000))).source == .refresh)
        #expect(fleet.endpoint.uses.count == 2)
    }

    @Test("\"generation g was refused\": a refresh only if g is still the newest")
    func refused() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(3000))
        let reader = fleet.one.reader
        let answer = try await reader.token(TokenRequest(account: id, refused: Generation(1)))
        #expect(answer.snapshot.generation == Generation(2))
        for _ in 0..<10 { _ = try await reader.token(TokenRequest(account: id, refused: Generation(1))) }
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("tokens that are refused however new they are: one refresh, then none for a while that grows")
    func refusedForEver() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(3000))
        let reader = fleet.one.reader
        let begin = fleet.time.monotonic()
        var at: [Int] = []
        // A call each second, each of which is refused.
        for _ in 0..<400 {
            let before = fleet.endpoint.uses.count
            let newest = try #require(await fleet.store.snapshot(id)).generation
            do throws(RefreshFailure) {
                _ = try await reader.token(TokenRequest(account: id, refused: newest))
            } catch {
                #expect(error.code == .coolingDown)
                #expect(error.message.contains("alice"))
                let retryAt = try #require(error.retryAt)
                #expect(retryAt > fleet.time.wall())
                #expect(!reader.canReplace(id, refused: newest))
            }
            if fleet.endpoint.uses.count > before {
                at.append(Int((fleet.time.monotonic() - begin).components.seconds))
            }
            // Whoever does not complain is served.
            #expect(try await reader.token(TokenRequest(account: id)).snapshot.generation >= newest)
            fleet.time.advance(by: .seconds(1))
        }
        #expect(at == [0, 5, 15, 35, 75, 155, 315])
    }

    @Test("a token that dies now and then is replaced each time, and an expired one whatever was refused before")
    func refusedNowAndThen() async throws {
        let fleet = try await Fleet(ManualTimeSource(), lifetime: .seconds(10_000))
        let id = try await fleet.add("alice", remaining: .seconds(3000))
        let reader = fleet.one.reader
        for generation in 1...8 {
            let answer = try await reader.token(TokenRequest(account: id, refused: Generation(Int64(generation))))
            #expect(answer.snapshot.generation == Generation(Int64(generation) + 1))
            fleet.time.advance(by: .seconds(121))
        }
        let short = try await Fleet(ManualTimeSource(), lifetime: .seconds(60))
        let other = try await short.add("bob", remaining: .seconds(3000))
        _ = try await short.one.reader.token(TokenRequest(account: other, refused: Generation(1)))
        short.time.advance(by: .seconds(2))
        await short.store.tamper(other) { $0.expiresAt = short.time.wall() }
        short.one.cache.forget(other)
        let answer = try await short.one.reader.token(TokenRequest(account: other, refused: Generation(2)))
        #expect(answer.snapshot.generation == Generation(3))
    }

    @Test("a refused token is not handed out again, although it looks valid, when the refresh fails")
    func refusedNeverStale() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(3000))
        fleet.endpoint.script(.unsent)
        #expect(
            await failure(fleet.one.reader, TokenRequest(account: id, refused: Generation(1))) == .providerUnavailable)
        let fresh = try await fleet.one.reader.token(TokenRequest(account: id))
        #expect(fresh.snapshot.generation == Generation(1))
    }

    @Test("a valid token is served, marked stale, while the provider is away (I5)")
    func providerAway() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(50))
        fleet.endpoint.script(.unsent, .status(500, error: "server_error", retryAfter: nil))
        let answer = try await fleet.one.reader.token(TokenRequest(account: id))
        #expect(answer.isStale)
        #expect(answer.accessToken == Secret("at-alice-0"))
        #expect(fleet.one.statistics.snapshot().staleServed == 1)
    }

    @Test("a valid token is served while the store is away (I5), an expired one never")
    func storeAway() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(600))
        _ = try await fleet.one.reader.token(TokenRequest(account: id))
        await fleet.store.setDown(true)
        fleet.one.cache.subscriptionChanged(isUp: false)
        fleet.time.advance(by: .seconds(599))
        let answer = try await fleet.one.reader.token(TokenRequest(account: id))
        #expect(answer.accessToken == Secret("at-alice-0"))
        #expect(answer.isStale)
        fleet.time.advance(by: .seconds(1))
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == .storeUnavailable)
        #expect(fleet.endpoint.uses.isEmpty)
    }

    @Test("an expired token is never served, whatever fails")
    func neverExpired() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .zero)
        fleet.endpoint.script(.unsent, .unanswered(hasRotated: true))
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == .providerUnavailable)
        fleet.time.advance(by: .seconds(300))
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == .outcomeUnknown)
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == .outcomeUnknown)
        // A provider whose new tokens are over already: an error after a few tries, not a loop and not a token.
        let other = try await Fleet(ManualTimeSource(), lifetime: .milliseconds(-5))
        let bob = try await other.add("bob")
        #expect(await failure(other.one.reader, TokenRequest(account: bob)) == .providerUnavailable)
        #expect(other.endpoint.uses.count <= 4)
    }

    @Test("a paused account is not served, however good its token")
    func disabled() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(3000))
        _ = try await fleet.one.reader.token(TokenRequest(account: id))
        _ = try await fleet.store.edit(id, AccountEdit(enabled: false))
        #expect(fleet.one.reader.warm(id) == nil)
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == .disabled)
        _ = try await fleet.store.edit(id, AccountEdit(enabled: true))
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == nil)
    }

    @Test("reauthorisation required: the last token is served while it lasts, then the error; nothing is sent")
    func reauthRequired() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(50))
        await fleet.store.tamper(id) { $0.status = .reauthRequired }
        let answer = try await fleet.one.reader.token(TokenRequest(account: id))
        #expect(answer.isStale)
        #expect(await failure(fleet.one.reader, TokenRequest(account: id, refused: Generation(1))) == .reauthRequired)
        fleet.time.advance(by: .seconds(50))
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == .reauthRequired)
        #expect(fleet.endpoint.uses.isEmpty)
    }

    @Test("an unknown provider: a valid token is served, no refresh is tried")
    func unknownProvider() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(50), provider: ProviderFixture.name("other"))
        #expect(try await fleet.one.reader.token(TokenRequest(account: id)).isStale)
        fleet.time.advance(by: .seconds(50))
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == .unknownProvider)
        #expect(await failure(fleet.one.reader, TokenRequest(account: try accountID("bob"))) == .accountNotFound)
    }

    @Test("trap 11: a refused account is not sent to the provider again until it is given a new refresh token")
    func deadTokenIsRemembered() async throws {
        let fleet = try await Fleet(ManualTimeSource(), instances: 2)
        let id = try await fleet.add("alice")
        fleet.endpoint.script(.status(400, error: "invalid_grant", retryAfter: nil))
        for instance in fleet.instances {
            for _ in 0..<100 { #expect(await failure(instance.reader, TokenRequest(account: id)) == .reauthRequired) }
        }
        fleet.time.advance(by: .seconds(86400))
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == .reauthRequired)
        #expect(fleet.endpoint.uses.count == 1)
        try await fleet.add("alice")
        #expect(await failure(fleet.one.reader, TokenRequest(account: id)) == nil)
    }
}
