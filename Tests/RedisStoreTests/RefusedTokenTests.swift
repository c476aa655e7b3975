import RedisClient
import RedisStore
import RefreshCore
import Sealing
import Testing

/// The memory of refused refresh tokens, and of who was given which.
@Suite(.timeLimit(.minutes(10)))
struct RefusedTokenTests {
    private func refuse(_ fixture: StoreFixture, _ id: String, _ token: String, attempt: String = "attempt-1")
        async throws
    {
        let claim = try #require(try await fixture.begin(id, attempt, ignoresBackoff: true).claim)
        #expect(claim.refreshToken.reveal() == token)
        _ = try await fixture.store.settle(
            SettleRequest(
                account: claim.account.id, provider: StoreFixture.provider, attempt: claim.attempt,
                generation: claim.generation, disposition: .refused,
                fault: RefreshFault(kind: .refused, message: "invalid_grant"), retryAfter: .seconds(1),
                refusedToken: claim.refreshToken, health: .answering))
    }

    private func put(
        _ fixture: StoreFixture, _ id: String, _ token: String, isForced: Bool = false, mayShareToken: Bool = false,
        overwrite: OverwriteRule = .always
    ) async throws -> PutReply {
        try await fixture.directory.put(
            AccountPut(
                id: AccountID(id), provider: StoreFixture.provider, name: nil,
                credentials: Credentials(refreshToken: Secret(token)), dueAt: try await fixture.now(),
                overwrite: overwrite, isForced: isForced, mayShareToken: mayShareToken))
    }

    @Test(arguments: [false, true])
    func aRefusedTokenIsNotTakenInAgainUnlessForced(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            #expect(try await put(fixture, "a", "dead") == .created(Generation(1)))
            let refusal = try await fixture.timed { try await refuse(fixture, "a", "dead") }
            guard case .refusedBefore(let time) = try await put(fixture, "a", "dead") else {
                Issue.record("taken in")
                return
            }
            #expect(refusal.times.contains(time))
            #expect(try await fixture.account("a")?.status == .reauthRequired)
            // Nor after the account was removed, nor when others have come in between.
            _ = try await fixture.directory.remove(AccountID("a"), ifGeneration: nil)
            guard case .refusedBefore = try await put(fixture, "a", "dead") else {
                Issue.record("taken in after removal")
                return
            }
            for number in 1...3 { _ = try await put(fixture, "a", "live-\(number)") }
            guard case .refusedBefore = try await put(fixture, "a", "dead") else {
                Issue.record("taken in after others")
                return
            }
            #expect(try await fixture.account("a")?.status == .active)
            guard case .replaced = try await put(fixture, "a", "dead", isForced: true) else {
                Issue.record("force does not help")
                return
            }
            // Whoever forced it knows better: it is forgotten until it is refused again.
            guard case .replaced = try await put(fixture, "a", "dead") else {
                Issue.record("still remembered")
                return
            }
        }
    }

    /// The user may have been unlocked at the provider, and what the account is made of is the same as before.
    @Test(arguments: [false, true])
    func refusedFieldsAreTakenInAgain(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            let fields = AccountCredential.fields(AccountFields(["username": Secret("eve"), "password": Secret("pw")]))
            let stored = fields.secret.reveal()
            #expect(try await put(fixture, "a", stored) == .created(Generation(1)))
            for generation in 1...2 as ClosedRange<Int64> {
                try await refuse(fixture, "a", stored, attempt: "attempt-\(generation)")
                // Until somebody acts nothing is sent for it, however it is asked for.
                #expect(try await fixture.account("a")?.status == .reauthRequired)
                for attempt in ["a", "b"] {
                    let reply = try await fixture.begin("a", "\(attempt)-\(generation)", ignoresBackoff: true)
                    #expect(reply.word == "blocked")
                }
                #expect(try await put(fixture, "a", stored) == .replaced(Generation(generation + 1)))
                #expect(try await fixture.account("a")?.status == .active)
            }
            #expect(try await fixture.begin("a", "attempt-3").claim?.refreshToken.reveal() == stored)
            // Two accounts may be made of the same.
            #expect(try await put(fixture, "b", stored) == .created(Generation(1)))
        }
    }

    @Test func nothingOfATokenCanBeReadAndAnOlderKeyStillKnowsIt() async throws {
        let old = SealingKey.generate()
        let provider = StoreFixture.provider
        let one = try KeyRing(keys: [old]).fingerprints(of: Secret("dead"), at: provider)
        let rotated = try KeyRing(keys: [.generate(), old])
        let two = rotated.fingerprints(of: Secret("dead"), at: provider)
        #expect(one.count == 1 && two.count == 2 && two[1] == one[0] && two[0] != one[0])
        #expect(rotated.fingerprints(of: Secret("dead"), at: try ProviderName("other"))[1] != one[0])
        #expect(rotated.fingerprints(of: Secret("dea"), at: provider)[1] != one[0])
        #expect(!one[0].contains("dead"))

        try await StoreFixture.run(ring: try KeyRing(keys: [old])) { fixture in
            _ = try await put(fixture, "a", "dead-refresh-token")
            try await refuse(fixture, "a", "dead-refresh-token")
            for key in try await fixture.redis("KEYS", "*").array ?? [] {
                guard let name = key.string, try await fixture.redis("TYPE", name).string == "hash" else { continue }
                let all = try await fixture.redis("HGETALL", name).array ?? []
                #expect(!all.contains { ($0.string ?? "").contains("dead-refresh-token") })
            }
            // The keys have been rotated since.
            let link = RedisLink(
                client: fixture.client, keys: fixture.link.keys, ring: try KeyRing(keys: [.generate(), old]),
                clock: fixture.link.clock)
            try await StoreMeta.open(link)
            let directory = RedisAccountDirectory(link: link, origin: StoreFixture.instance)
            let reply = try await directory.put(
                AccountPut(
                    id: AccountID("a"), provider: provider, name: nil,
                    credentials: Credentials(refreshToken: Secret("dead-refresh-token")),
                    dueAt: try await fixture.now()))
            guard case .refusedBefore = reply else {
                Issue.record("\(reply)")
                return
            }
        }
    }

    @Test func aTokenOfAnotherAccountIsNotTakenIn() async throws {
        try await StoreFixture.run { fixture in
            #expect(try await put(fixture, "a", "token-1") == .created(Generation(1)))
            #expect(try await put(fixture, "b", "token-1") == .tokenInUse(by: AccountID("a")))
            // Its own again is its own affair; where tokens survive use two may share one.
            #expect(try await put(fixture, "a", "token-1") == .replaced(Generation(2)))
            #expect(try await put(fixture, "b", "token-1", mayShareToken: true) == .created(Generation(1)))
            #expect(try await put(fixture, "c", "token-1", isForced: true) == .created(Generation(1)))
            // A's token has rotated since it was put, and the first one is known all the same: it is spent.
            #expect(try await put(fixture, "d", "token-2") == .created(Generation(1)))
            #expect(try await fixture.begin("d", "attempt-1").word == "granted")
            #expect(try await fixture.commit("d", "attempt-1", generation: 1) == .committed(enabled: true))
            #expect(try await put(fixture, "e", "token-2") == .tokenInUse(by: AccountID("d")))
            // Whoever has another one by now, or is gone, stands in nobody's way.
            #expect(try await put(fixture, "d", "token-3") == .replaced(Generation(3)))
            #expect(try await put(fixture, "e", "token-2") == .created(Generation(1)))
            _ = try await fixture.directory.remove(AccountID("e"), ifGeneration: nil)
            #expect(try await put(fixture, "f", "token-2") == .created(Generation(1)))
            #expect(try await fixture.redis("HLEN", fixture.link.keys.fingerprints).int == 3)
        }
    }

    // MARK: The end of a grant

    private func events(_ fixture: StoreFixture, _ type: String) async throws -> [[String]] {
        let reply = try await fixture.redis("XRANGE", fixture.link.keys.events(0), "-", "+")
        return (reply.array ?? []).map { ($0.array?.last?.array ?? []).map { $0.string ?? "" } }
            .filter { $0.contains(type) }
    }

    @Test(arguments: [false, true])
    func theEndOfAGrantIsAnnouncedOncePerStage(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            _ = try await put(fixture, "a", "token")
            #expect(try await fixture.account("a")?.authorizedAt != nil)
            let now = try await fixture.now()
            let end = now + .seconds(6 * 86_400)
            let stages: [(GrantTerm.Stage?, events: Int)] = [
                (.lasting, 0), (.expiring, 1), (.expiring, 1), (nil, 1), (.lastDay, 2), (.lastDay, 2), (.lasting, 2),
                (.expiring, 3),
            ]
            for (number, (stage, count)) in stages.enumerated() {
                let generation = Int64(number + 1)
                let claim = try #require(try await fixture.begin("a", "attempt-\(number)").claim)
                var request = CommitRequest(
                    claim: claim,
                    grant: TokenGrant(
                        accessToken: Secret("at"), refreshToken: nil, tokenType: "Bearer",
                        expiresAt: now + .seconds(3600)), obtainedAt: now, dueAt: now + .seconds(3000))
                request.grantStage = stage
                request.grantEndsAt = end
                if number == 1 { request.grant = GrantTerm(since: now, endsAt: end) }
                #expect(try await fixture.store.commit(request) == .committed(enabled: true))
                let events = try await events(fixture, "account.grant_expiring")
                #expect(events.count == count, "commit \(number)")
                if let last = events.last, number == 1 {
                    #expect(last.contains("a") && last.contains("\(end.milliseconds)"))
                    #expect(last.contains("\(generation + 1)"))
                }
                if number >= 1 {
                    #expect(try await fixture.account("a")?.grant == GrantTerm(since: now, endsAt: end))
                }
            }
            // A new log-in begins anew.
            _ = try await put(fixture, "a", "token-2")
            let account = try #require(try await fixture.account("a"))
            #expect(account.grant == nil && account.grantStage == .lasting)
        }
    }
}
