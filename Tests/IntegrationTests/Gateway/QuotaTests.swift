import CurlClient
import MockProvider
import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Accounts of a pool use up their quotas, and the callers of the gateway do not notice as long as one is left: real
/// instances, a real Redis, and nginx as an upstream that turns spent tokens away.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct QuotaTests {
    private static func upstream(_ site: CrashSite, port: Int) async throws -> String {
        try await UpstreamServer.start(
            site, port: port, path: "/", log: "$status $msec $http_authorization", fates: "~^Bearer.spent- spent;",
            locations: """
                location / {
                  if ($fate = spent) { add_header Retry-After 60 always; return 429 '{"error":"No remaining quota"}'; }
                  if ($fate = empty) { return 418; }
                  return 200 '{"ok":true}';
                }
                """)
    }

    private static func setup(_ instances: Int, upstream port: Int) -> CrashSite.Setup {
        CrashSite.Setup(
            instances: instances,
            more: { _ in
                """
                pools:
                  warp: {}

                """ + routes(port)
            })
    }

    private static func routes(_ upstream: Int) -> String {
        """
        routes:
          warp:
            upstream: "http://127.0.0.1:\(upstream)"
            pool: warp
            rules: [{ status: 429, contains: No remaining quota, class: quota }]

        """
    }

    private static func put(_ site: CrashSite, _ id: String, tier: String, token: String) async throws {
        let account = try await site.mock.seedOne("\(id)-", isExpired: false)
        let body = """
            {"provider":"mock","refresh_token":"\(account.refreshToken)","access_token":"\(token)",\
            "expires_at":\(account.expiresAt ?? 0),"pool":"warp","tier":"\(tier)"}
            """
        let answer = try await site.workshop.http.execute(
            CurlRequest(
                method: "PUT", url: "\(site.instances[0].origin)/v1/accounts/\(id)",
                headers: [("Content-Type", "application/json")], body: Array(body.utf8)))
        try #require(answer.status == 201, "\(String(decoding: answer.body, as: UTF8.self))")
    }

    private static func call(_ site: CrashSite, _ number: Int) async throws -> CurlResponse {
        try await site.workshop.http.execute(
            CurlRequest(
                method: "POST", url: "\(site.instances[number % site.instances.count].origin)/gw/warp/ask",
                body: Array("hello".utf8), totalTimeout: .seconds(60)))
    }

    private static func refusals(_ log: String, of token: String) -> Int {
        (TextFile.read(log) ?? "").split(separator: "\n").count { $0.hasPrefix("429 ") && $0.hasSuffix(" \(token)") }
    }

    @Test("an anonymous account that is spent is followed by the personal one, on every instance, and asked once only")
    func thePersonalAccountFollows() async throws {
        let port = try FreePort.find()
        try await CrashSite.run(Self.setup(3, upstream: port)) { site in
            let log = try await Self.upstream(site, port: port)
            try await Self.put(site, "anon", tier: "anonymous", token: "spent-anon")
            try await Self.put(site, "mine", tier: "personal", token: "good-mine")
            let first = try await Self.call(site, 0)
            #expect(first.status == 200)
            #expect(first.first("Perennial-Attempts") == "2;quota")
            #expect(first.first("Perennial-Account") == "mine")
            try await eventually("the cool-down is known everywhere") {
                for number in 0..<3 {
                    let answer = try await Self.call(site, number)
                    guard answer.status == 200, answer.first("Perennial-Attempts") == "1" else { return false }
                }
                return true
            }
            let before = Self.refusals(log, of: "spent-anon")
            for number in 0..<30 {
                let answer = try await Self.call(site, number)
                #expect(answer.status == 200)
                #expect(answer.first("Perennial-Account") == "mine")
                #expect(answer.first("Perennial-Attempts") == "1")
            }
            #expect(Self.refusals(log, of: "spent-anon") == before)
        }
    }

    @Test("200 calls at once when an account is spent: all succeed, and the right one is blamed")
    func allSucceed() async throws {
        let port = try FreePort.find()
        try await CrashSite.run(Self.setup(3, upstream: port)) { site in
            let log = try await Self.upstream(site, port: port)
            try await Self.put(site, "anon", tier: "anonymous", token: "spent-anon")
            for number in 0..<3 {
                try await Self.put(site, "mine-\(number)", tier: "personal", token: "good-\(number)")
            }
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<200 { group.addTask { try await Self.call(site, number).status } }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [200: 200])
            try await eventually("nobody picks it any more") {
                let before = Self.refusals(log, of: "spent-anon")
                for number in 0..<9 {
                    let answer = try await Self.call(site, number)
                    guard answer.first("Perennial-Account")?.hasPrefix("mine") == true else { return false }
                }
                return Self.refusals(log, of: "spent-anon") == before
            }
        }
    }

    @Test("when all are spent the caller learns when one will not be")
    func allAreSpent() async throws {
        let port = try FreePort.find()
        try await CrashSite.run(Self.setup(1, upstream: port)) { site in
            _ = try await Self.upstream(site, port: port)
            try await Self.put(site, "a", tier: "anonymous", token: "spent-a")
            try await Self.put(site, "b", tier: "personal", token: "spent-b")
            for round in 0..<2 {
                let answer = try await Self.call(site, 0)
                #expect(answer.status == 429)
                #expect(String(decoding: answer.body, as: UTF8.self).contains("pool_exhausted"))
                let wait = Int(answer.first("Retry-After") ?? "") ?? 0
                #expect((1...66).contains(wait))
                #expect(answer.first("Perennial-Attempts") == (round == 0 ? "2;quota,quota" : "0"))
            }
        }
    }

    @Test(
        "when all are spent a new account is acquired and the call succeeds; when none can be had the caller learns why"
    )
    func anAccountIsAcquired() async throws {
        try await Midnight.keepAway()
        let port = try FreePort.find()
        let setup = CrashSite.Setup(more: { provider in
            WarpSection.yaml(["max_per_day: 1", "min_interval: 1s"], port: provider) + Self.routes(port)
        })
        try await CrashSite.run(setup) { site in
            let log = try await Self.upstream(site, port: port)
            try await Self.put(site, "anon", tier: "anonymous", token: "spent-anon")
            let first = try await Self.call(site, 0)
            #expect(first.status == 200)
            #expect(first.first("Perennial-Attempts") == "2;quota")
            let acquired = try #require(first.first("Perennial-Account"))
            #expect(acquired.hasPrefix("anonymous-"))
            let second = try await Self.call(site, 0)
            #expect(second.first("Perennial-Account") == acquired)
            #expect(second.first("Perennial-Attempts") == "1")
            #expect(Self.refusals(log, of: "spent-anon") == 1)

            // It is spent too, and a day may have one only.
            let aside = try await site.workshop.http.execute(
                CurlRequest(
                    method: "POST", url: "\(site.instances[0].origin)/v1/pools/warp/cooldown",
                    headers: [("Content-Type", "application/json")],
                    body: Array(#"{"account":"\#(acquired)","for":40}"#.utf8)))
            try #require(aside.status == 200, "\(String(decoding: aside.body, as: UTF8.self))")
            let third = try await Self.call(site, 0)
            #expect(third.status == 429)
            let words = String(decoding: third.body, as: UTF8.self)
            #expect(words.contains("pool_exhausted") && words.contains("as many as a day may have"))
            #expect((1...44).contains(Int(third.first("Retry-After") ?? "") ?? 0))
        }
    }

    @Test("an acquisition that fails is told with the time of the next try")
    func acquisitionFails() async throws {
        let port = try FreePort.find()
        let closed = try FreePort.find()
        let setup = CrashSite.Setup(more: { _ in
            WarpSection.yaml(["max_per_day: 5", "min_interval: 30s"], port: closed) + Self.routes(port)
        })
        try await CrashSite.run(setup) { site in
            _ = try await Self.upstream(site, port: port)
            try await Self.put(site, "anon", tier: "anonymous", token: "spent-anon")
            for round in 0..<2 {
                let answer = try await Self.call(site, 0)
                #expect(answer.status == 429)
                #expect(answer.first("Perennial-Attempts") == (round == 0 ? "1;quota" : "0"))
                let words = String(decoding: answer.body, as: UTF8.self)
                #expect(words.contains("pool_exhausted") && words.contains("no new one is acquired"), "\(words)")
                #expect((1...66).contains(Int(answer.first("Retry-After") ?? "") ?? 0))
            }
        }
    }
}
