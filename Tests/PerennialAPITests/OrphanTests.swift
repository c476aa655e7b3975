import RefreshCore
import Testing

@testable import PerennialAPI

@Suite struct OrphanTests {
    private func orphan(
        _ attempt: String = "abc123", cause: Orphan.Cause? = .moved, provider: String = "acme"
    ) throws -> Orphan {
        Orphan(
            attempt: AttemptID(rawValue: attempt), generation: Generation(16), keptAt: House.start, cause: cause,
            origin: try InstanceID("i2"), provider: try ProviderName(provider), newest: Generation(17),
            expiresAt: House.start + .seconds(60), canBeOpened: true)
    }

    @Test func theListSaysEverythingButTokens() async throws {
        let house = try House()
        try house.add("a")
        house.fleet.addOrphan(try orphan(), of: try AccountID("a"))
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/accounts/a/orphans")
            #expect(response.status == 200)
            #expect(
                response.body
                    == #"{"account":"a","orphans":[{"attempt":"abc123","generation":16,"kept_at":"2026-11-21T09:57:00Z","cause":"moved","newest_generation":17,"origin":"i2","provider":"acme","expires_at":"2026-11-21T09:58:00Z","can_be_opened":true}]}"#
            )
            let account = try await client.send("GET", "/v1/accounts/a")
            #expect(account.body.contains(#""orphans":[{"attempt":"abc123""#))
            // Of a removed account, too: its late answer has no other place.
            #expect(
                try await client.send("GET", "/v1/accounts/gone/orphans").body == #"{"account":"gone","orphans":[]}"#)
        }
    }

    @Test func restoringServesTheRestoredTokenAtOnce() async throws {
        let house = try House()
        try house.addWarm("a")
        house.fleet.addOrphan(try orphan(), of: try AccountID("a"))
        try await house.serve { client async throws in
            let restored = try await client.send("POST", "/v1/accounts/a/orphans/abc123/restore")
            #expect(restored.status == 200)
            #expect(restored.headers["etag"] == "\"18\"")
            #expect(restored.member("generation") == "18")
            #expect(!restored.body.contains("at-restored"))
            #expect(try await client.send("GET", "/v1/accounts/a/token").member("access_token") == "at-restored")
            let again = try await client.send("POST", "/v1/accounts/a/orphans/abc123/restore")
            #expect(again.status == 404)
            #expect(again.member("type") == "urn:perennial:problem:orphan_not_found")
        }
    }

    @Test(arguments: [RestoreReply.Obstacle.held, .open, .foreign])
    func restoringWaitsForARefreshUnlessForced(obstacle: RestoreReply.Obstacle) async throws {
        let house = try House()
        try house.add("a")
        house.fleet.addOrphan(try orphan(), of: try AccountID("a"))
        house.fleet.obstruct(obstacle)
        try await house.serve { client async throws in
            for body in [nil, #"{"force":false}"#, "{}"] as [String?] {
                let refused = try await client.send("POST", "/v1/accounts/a/orphans/abc123/restore", body: body)
                #expect(refused.status == 409)
                #expect(refused.member("type") == "urn:perennial:problem:refresh_under_way")
                #expect(refused.member("detail")?.contains(obstacle.sentence) == true)
            }
            let forced = try await client.send(
                "POST", "/v1/accounts/a/orphans/abc123/restore", body: #"{"force":true}"#)
            #expect(forced.status == 200)
        }
    }

    @Test func whatCannotBeRestoredSaysWhy() async throws {
        let house = try House()
        try house.add("a")
        house.fleet.addOrphan(try orphan(provider: "other"), of: try AccountID("a"))
        house.fleet.addOrphan(try orphan(), of: try AccountID("gone"))
        try await house.serve { client async throws in
            let other = try await client.send("POST", "/v1/accounts/a/orphans/abc123/restore")
            #expect(other.status == 409)
            #expect(other.member("type") == "urn:perennial:problem:other_provider")
            let gone = try await client.send("POST", "/v1/accounts/gone/orphans/abc123/restore")
            #expect(gone.status == 404)
            #expect(gone.member("type") == "urn:perennial:problem:account_not_found")
            house.fleet.fail(StoreError(.unavailable, "Redis is away"))
            #expect(try await client.send("GET", "/v1/accounts/a/orphans").status == 503)
            #expect(try await client.send("POST", "/v1/accounts/a/orphans/abc123/restore").status == 503)
            #expect(try await client.send("DELETE", "/v1/accounts/a/orphans/abc123").status == 503)
        }
    }

    @Test func droppingTakesOneOrphanAway() async throws {
        let house = try House()
        try house.add("a")
        let id = try AccountID("a")
        house.fleet.addOrphan(try orphan("one"), of: id)
        house.fleet.addOrphan(try orphan("two"), of: id)
        try await house.serve { client async throws in
            #expect(try await client.send("DELETE", "/v1/accounts/a/orphans/one").status == 204)
            #expect(try await client.send("DELETE", "/v1/accounts/a/orphans/one").status == 404)
            let left = try await client.send("GET", "/v1/accounts/a/orphans")
            #expect(left.body.contains(#""attempt":"two""#) && !left.body.contains(#""attempt":"one""#))
        }
    }

    @Test(arguments: [
        ("GET", "/v1/accounts/a/orphans/one", 405), ("POST", "/v1/accounts/a/orphans", 405),
        ("GET", "/v1/accounts/a/orphans/one/restore", 405), ("POST", "/v1/accounts/a/orphans//restore", 404),
        ("POST", "/v1/accounts/a/orphans/one/other", 404), ("DELETE", "/v1/accounts/a/orphans/", 404),
        ("DELETE", "/v1/accounts/a/orphans/%20", 400), ("DELETE", "/v1/accounts/a/orphans/a%0Ab", 400),
        ("GET", "/v1/accounts/a/orphans?x=1", 400),
    ])
    func placesAndMethods(method: String, target: String, status: Int) async throws {
        let house = try House()
        try house.add("a")
        try await house.serve { client async throws in
            #expect(try await client.send(method, target).status == status)
        }
    }

    @Test(arguments: [#"{"force":"yes"}"#, #"{"forced":true}"#, "[", "true"])
    func badBodiesAreRefused(body: String) async throws {
        let house = try House()
        try house.add("a")
        house.fleet.addOrphan(try orphan(), of: try AccountID("a"))
        try await house.serve { client async throws in
            let response = try await client.send("POST", "/v1/accounts/a/orphans/abc123/restore", body: body)
            #expect(response.status == 400)
        }
    }

    /// A caller has to see whether a refresh token was refused, or nobody knows what became of it.
    @Test(arguments: [RefreshFault.Kind.refused, .outcomeUnknown])
    func theCauseOfADeadAccountIsTold(kind: RefreshFault.Kind) async throws {
        let house = try House()
        try house.add("a", life: .seconds(-1)) {
            $0.status = .reauthRequired
            $0.lastFault = RefreshFault(kind: kind, message: "what happened")
        }
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/accounts/a/token")
            #expect(response.status == 424)
            #expect(response.member("type") == "urn:perennial:problem:reauth_required")
            #expect(response.member("cause") == kind.rawValue)
            let refresh = try await client.send("POST", "/v1/accounts/a/refresh")
            #expect(refresh.status == 424)
            #expect(refresh.member("cause") == kind.rawValue)
            let account = try await client.send("GET", "/v1/accounts/a")
            #expect(account.body.contains(#""last_fault":{"kind":"\#(kind.rawValue)","message":"what happened"}"#))
        }
    }
}
