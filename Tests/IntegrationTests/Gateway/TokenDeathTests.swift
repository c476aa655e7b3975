import CurlClient
import MockProvider
import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A token dies in use, and the callers of the gateway do not notice: real instances, a real Redis, a provider, and nginx
/// as an upstream that tells of dead tokens in every way there is.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TokenDeathTests {
    private static let dead = "revoked-meanwhile"

    /// An nginx that turns one token away, and whatever is no bearer token at all.
    private static func upstream(_ site: CrashSite, port: Int) async throws -> String {
        try await UpstreamServer.start(
            site, port: port, path: "/status", log: "$status $request_uri $http_authorization",
            fates: "\"Bearer \(dead)\" dead;",
            locations: """
                location /status { if ($fate = dead) { return 401 '{"error":"gone"}'; } if ($fate = empty) { return 418; }
                  return 200 '{"code":0}'; }
                location /word { if ($fate = dead) { return 400 '{"error":"invalid_grant"}'; }
                  if ($fate = empty) { return 418; } return 200 '{"code":0}'; }
                location /code { if ($fate = dead) { return 200 '{"code":40003}'; } if ($fate = empty) { return 418; }
                  return 200 '{"code":0}'; }
                """)
    }

    private static func setup(_ instances: Int, upstream port: Int) -> CrashSite.Setup {
        CrashSite.Setup(
            instances: instances, latency: "100ms",
            more: { _ in
                """
                routes:
                  api:
                    upstream: "http://127.0.0.1:\(port)"
                    account: main
                    rules:
                      - { status: 400, code: invalid_grant, class: refresh }
                      - { json: { /code: 40003 }, class: refresh }

                """
            })
    }

    /// What the upstream saw, one line a request.
    private static func seen(_ log: String, _ path: String) -> [String] {
        (TextFile.read(log) ?? "").split(separator: "\n").map(String.init).filter { $0.contains(" \(path) ") }
    }

    @Test("401, a word in the body, a code in a 200: one success each", arguments: ["/status", "/word", "/code"])
    func oneSuccess(path: String) async throws {
        let port = try FreePort.find()
        try await CrashSite.run(Self.setup(1, upstream: port)) { site in
            let log = try await Self.upstream(site, port: port)
            var account = try await site.mock.seedOne("main-", isExpired: false)
            let seeded = account.id
            (account.id, account.accessToken) = ("main", Self.dead)
            try await site.put(account)
            let answer = try await site.workshop.http.execute(
                CurlRequest(
                    method: "POST", url: "\(site.instances[0].origin)/gw/api\(path)", body: Array("hello".utf8)))
            #expect(answer.status == 200)
            #expect(String(decoding: answer.body, as: UTF8.self) == #"{"code":0}"#)
            #expect(answer.first("Perennial-Attempts") == "2;token_refused")
            #expect(answer.first("Perennial-Account") == "main")
            // A request is logged when its answer has left.
            try await eventually("both requests are logged") {
                Self.seen(log, path).count { !$0.hasPrefix("418") } >= 2
            }
            let requests = Self.seen(log, path).filter { !$0.hasPrefix("418") }
            #expect(requests.count == 2)
            #expect(requests.count { $0.hasSuffix(Self.dead) } == 1)
            #expect(try await site.mock.ledger().uses.count { $0.account == seeded } == 1)
        }
    }

    @Test("a token that is missing or has run out is refreshed before the first call, and never sent")
    func nothingEmptyIsSent() async throws {
        let port = try FreePort.find()
        try await CrashSite.run(Self.setup(1, upstream: port)) { site in
            let log = try await Self.upstream(site, port: port)
            var account = try await site.mock.seedOne("main-", isExpired: true)
            account.id = "main"
            let old = account.accessToken
            for isMissing in [true, false] {
                account.accessToken = isMissing ? nil : old
                if isMissing { try await site.put(account) }
                let answer = try await site.workshop.http.execute(
                    CurlRequest(url: "\(site.instances[0].origin)/gw/api/status"))
                #expect(answer.status == 200)
                #expect(answer.first("Perennial-Attempts") == "1")
            }
            // Behind those that asked whether the upstream is there.
            @Sendable func requests() -> [String] { Self.seen(log, "/status").filter { !$0.hasPrefix("418 ") } }
            try await eventually("both requests are logged") { requests().count >= 2 }
            #expect(requests().count == 2)
            #expect(requests().allSatisfy { $0.hasPrefix("200 ") && !$0.hasSuffix(old ?? "-") })
        }
    }

    @Test("200 calls at once over three instances when a token dies: one refresh, 200 successes")
    func oneRefreshForAll() async throws {
        let port = try FreePort.find()
        try await CrashSite.run(Self.setup(3, upstream: port)) { site in
            let log = try await Self.upstream(site, port: port)
            var account = try await site.mock.seedOne("main-", isExpired: false)
            let seeded = account.id
            (account.id, account.accessToken) = ("main", Self.dead)
            try await site.put(account)
            let outcomes = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<200 {
                    let origin = site.instances[number % 3].origin
                    group.addTask {
                        let answer = try await site.workshop.http.execute(
                            CurlRequest(url: "\(origin)/gw/api/status", totalTimeout: .seconds(60)))
                        return "\(answer.status) \(String(decoding: answer.body, as: UTF8.self))"
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(outcomes == [#"200 {"code":0}"#: 200])
            #expect(try await site.mock.ledger().uses.count { $0.account == seeded } == 1)
            // It did die while it was in use.
            #expect(Self.seen(log, "/status").contains { $0.hasSuffix(Self.dead) })
        }
    }
}
