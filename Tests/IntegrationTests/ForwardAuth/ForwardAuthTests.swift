import CurlClient
import MockProvider
import PerennialServers
import Testing

/// The examples in `deploy/examples` with the real proxies: a live token for each request, a dead one replaced.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ForwardAuthTests {
    private func isAnswered(_ response: CurlResponse, for account: String) -> Bool {
        response.status == 200
            && String(decoding: response.body, as: UTF8.self).contains("\"account\":\"\(account)\"")
    }

    @Test(arguments: ["", "pools/warp"])
    func nginxMakesARefusedRequestOnceMore(pool: String) async throws {
        try await OneAccountSite.run(isDead: true) { site in
            let proxy = try await ForwardAuthSite(site)
            try await proxy.startNginx(for: pool.isEmpty ? site.alice.id : pool)
            // The first finds out that the token is dead; its client does not.
            for _ in 0..<3 { #expect(isAnswered(try await proxy.call(), for: site.alice.id)) }
            let totals = try await site.mock.totals()
            #expect(totals.refreshes == 1)
            #expect(totals.resourceInvalid == 1)
            // What the API says otherwise is the client's.
            #expect(try await proxy.call("/nowhere").status == 404)
        }
    }

    @Test func nginxPassesOnWhatKeepsTokensAway() async throws {
        try await OneAccountSite.run(isDead: true) { site in
            let proxy = try await ForwardAuthSite(site)
            try await proxy.startNginx(for: site.alice.id)
            try await site.mock.setFaults(["invalid-grant"])
            let dead = try await proxy.call()
            #expect(dead.status == 403, "somebody has to log in again")
            await proxy.instance.process.stop()
            let away = try await proxy.call()
            #expect(away.status == 503)
            #expect(String(decoding: away.body, as: UTF8.self).hasPrefix("there is no token at present"))
        }
    }

    @Test func nginxWithAWrongKeyGetsNothing() async throws {
        try await OneAccountSite.run { site in
            let proxy = try await ForwardAuthSite(site)
            let without = try await site.workshop.http.execute(
                CurlRequest(
                    url: "\(proxy.instance.origin)/v1/forward-auth/\(site.alice.id)",
                    headers: [("X-Perennial-Key", proxy.key + "x")]))
            #expect(without.status == 401)
            #expect(!without.headers.contains { $0.name.lowercased() == "authorization" })
        }
    }

    @Test(arguments: ["", "pools/warp"])
    func haproxyHasARefusedTokenReplaced(pool: String) async throws {
        try await OneAccountSite.run(isDead: true) { site in
            let proxy = try await ForwardAuthSite(site)
            try await proxy.startHAProxy(for: pool.isEmpty ? site.alice.id : pool)
            // HAProxy makes no request twice: the client that comes next gets the new one.
            #expect(try await proxy.call().status == 401)
            for _ in 0..<3 { #expect(isAnswered(try await proxy.call(), for: site.alice.id)) }
            #expect(try await site.mock.totals().refreshes == 1)
        }
    }

    @Test func haproxyPassesOnWhatKeepsTokensAway() async throws {
        try await OneAccountSite.run(isDead: true) { site in
            let proxy = try await ForwardAuthSite(site)
            try await proxy.startHAProxy(for: site.alice.id)
            try await site.mock.setFaults(["invalid-grant"])
            #expect(try await proxy.call().status == 401)
            let dead = try await proxy.call()
            #expect([200, 403, 401].contains(dead.status))
            await proxy.instance.process.stop()
            let away = try await proxy.call()
            #expect(away.status == 503)
            #expect(String(decoding: away.body, as: UTF8.self).hasPrefix("there is no token at present"))
        }
    }
}
