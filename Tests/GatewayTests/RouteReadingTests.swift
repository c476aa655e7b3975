import ConfigurationFile
import Providers
import RefreshCore
import Testing

@testable import Gateway

@Suite struct RouteReadingTests {
    private func read(_ yaml: String, pools: [String] = ["p"]) throws -> RouteCatalog {
        let document = try ConfigurationDocument(Array(yaml.utf8), file: "f")
        let issues = ConfigurationIssues()
        var settings: [PoolName: PoolSettings] = [:]
        for name in pools { settings[pool(name)] = PoolSettings(name: pool(name)) }
        let catalog = document.read(environment: [:], issues: issues) { top in
            top.section("routes") { RouteCatalog.read($0, pools: PoolCatalog(settings: settings)) } ?? RouteCatalog()
        }
        try issues.throwIfAny()
        return catalog
    }

    @Test func aRouteWithEverything() throws {
        let catalog = try read(
            """
            routes:
              api:
                upstream: https://api.example/v1/
                pool: p
                choose: { header: X-Account, accounts: [a, team-*], pools: [p] }
                inject: { header: { name: X-Api-Key, format: "Token {token}" } }
                headers: { deny: [X-Internal-*], set: { X-Client: me }, deny_answer: [Server] }
                own_credential_wins: true
                rules: [{ status: 200, json: { /code: 40003 }, class: refresh }]
                reset: { headers: X-Reset, json: /error/until }
                dimension: { json: /model }
                session: X-Session
                tries: 5
                deadline: 1m
                timeouts: { connect: 1s, first_byte: 20s, idle: 30s }
                replay: { memory: 1MiB, file: 2MiB }
                compression: pass
                encoded_slashes: true
            """)
        let route = try #require(catalog.routes.first)
        #expect(route.upstream.description == "https://api.example/v1")
        #expect(route.source == .pool(pool("p")))
        #expect(route.choice?.source("team-7") == .account(account("team-7")))
        #expect(route.choice?.source("b") == nil)
        #expect(route.choice?.source("p") == .pool(pool("p")))
        #expect(route.choice?.source("account:a") == .account(account("a")))
        #expect(route.injection == .header(name: "X-Api-Key", format: "Token {token}"))
        #expect(route.headers.deny == ["x-internal-*"])
        #expect(route.rules.rules.count == 1)
        #expect(route.reset.headers == ["X-Reset"])
        #expect(route.dimension == .json(try JSONPointer("/model")))
        #expect(route.budget.tries == 5)
        #expect(route.budget.firstByte == .seconds(20))
        #expect(route.replay.memory == 1 << 20)
        #expect(route.replay.file == 2 << 20)
        #expect(route.compression == .pass)
        #expect(catalog.usesPools)
        let shown = Dictionary(uniqueKeysWithValues: route.settings.map { ($0.key, $0.value) })
        #expect(shown["headers.set.X-Client"] == "set")
        #expect(shown["timeouts.first_byte"] == "20s")
        #expect(shown["replay.file"] == "2MiB")
    }

    @Test(arguments: [
        ("inject: bearer", TokenInjection.bearer), ("inject: { query: key }", .query(name: "key")),
        ("inject: { header: X-K }", .header(name: "X-K", format: "{token}")),
        ("inject: { cookie: sid }", .cookie(name: "sid")),
        ("inject: { basic: { username: me } }", .basic(username: "me", password: "{token}")),
        ("inject: { basic: {} }", .basic(username: "{token}", password: "")),
    ])
    func injections(line: String, expected: TokenInjection) throws {
        let catalog = try read("routes:\n  r:\n    upstream: https://x\n    account: a\n    \(line)\n")
        #expect(catalog.routes.first?.injection == expected)
    }

    @Test(arguments: [
        ("account: a", "has no upstream"),
        ("upstream: https://x", "does not say whose token"),
        ("upstream: http://api.example\n    account: a", "unencrypted"),
        ("upstream: https://x?y\n    account: a", "holds a query"),
        ("upstream: https://x/../y\n    account: a", "segment . or .."),
        ("upstream: https://x\n    account: a\n    pool: p", "either account or pool"),
        ("upstream: https://x\n    pool: q", "is not under pools"),
        ("upstream: https://x\n    account: 'a b'", "account"),
        ("upstream: https://x\n    account: a\n    inject: digest", "is not bearer"),
        ("upstream: https://x\n    account: a\n    inject: { header: { name: X, format: abc } }", "{token}"),
        ("upstream: https://x\n    account: a\n    inject: { header: 'X Y' }", "no name of a header"),
        ("upstream: https://x\n    account: a\n    inject: { header: X, query: y }", "exactly one"),
        ("upstream: https://x\n    account: a\n    inject: { header: Connection }", "a meaning of its own"),
        ("upstream: https://x\n    account: a\n    headers: { set: { Host: x } }", "made by Perennial"),
        ("upstream: https://x\n    account: a\n    headers: { deny: ['a b'] }", "no name of a header"),
        ("upstream: https://x\n    account: a\n    tries: 0", "tries"),
        ("upstream: https://x\n    account: a\n    replay: { memory: 1GiB }", "more than 64MiB"),
        ("upstream: https://x\n    account: a\n    replay: { memory: lots }", "is not a size"),
        ("upstream: https://x\n    account: a\n    timeouts: { idle: 0s }", "between"),
        ("upstream: https://x\n    account: a\n    session: X-S", "of no use without a pool"),
        ("upstream: https://x\n    pool: p\n    dimension: {}", "either header: NAME or json"),
        ("upstream: https://x\n    pool: p\n    dimension: { json: model }", "begins with /"),
        ("upstream: https://x\n    choose: { header: X-A }", "what may be chosen"),
        ("upstream: https://x\n    account: a\n    rules: [{ status: 401, class: refused }]", "class"),
        ("upstream: https://x\n    account: a\n    rules: [{ status: 4, class: quota }]", "no HTTP status"),
        ("upstream: https://x\n    account: a\n    upstrem: y", "did you mean upstream"),
        ("upstream: https://x\n    account: a\n    compression: zip", "compression"),
    ])
    func mistakesAreNamedWithTheirLines(lines: String, message: String) throws {
        let error = #expect(throws: ConfigurationError.self) { _ = try read("routes:\n  r:\n    \(lines)\n") }
        let text = error?.description ?? ""
        #expect(text.contains(message), "\(text)")
        #expect(text.contains("f:"), "\(text)")
    }

    @Test func namesOfRoutesAreSegments() {
        for name in ["a/b", "'a b'", "'..'", "ä"] {
            #expect(throws: ConfigurationError.self) {
                _ = try read("routes:\n  \(name): { upstream: https://x, account: a }\n")
            }
        }
    }
}
