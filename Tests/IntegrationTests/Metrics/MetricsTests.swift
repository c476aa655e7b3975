import CurlClient
import MockProvider
import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What an instance tells Prometheus, read by Prometheus's own client library.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct MetricsTests {
    private struct Sample: Decodable {
        var name: String
        var type: String
        var labels: [String: String]
        var value: Double
    }

    private static func setup(_ port: Int) -> CrashSite.Setup {
        CrashSite.Setup(more: { _ in
            """
            pools:
              warp: {}
            routes:
              warp:
                upstream: "http://127.0.0.1:\(port)"
                pool: warp
                rules: [{ status: 429, contains: No remaining quota, class: quota }]
                timeouts: { connect: 15s }

            """
        })
    }

    @Test("refreshes, picks and calls are counted, and nothing of an account is told")
    func whatIsTold() async throws {
        let upstream = try FreePort.find()
        try await CrashSite.run(Self.setup(upstream)) { site in
            // Without a token: it is refreshed before the call, which finds nobody.
            var account = try await site.mock.seedOne("main-", isExpired: false)
            account.accessToken = nil
            try await site.put(account)
            let origin = site.instances[0].origin
            let edit = try await site.workshop.http.execute(
                CurlRequest(
                    method: "PATCH", url: "\(origin)/v1/accounts/\(account.id)",
                    headers: [("Content-Type", "application/json")], body: Array(#"{"pool":"warp"}"#.utf8)))
            try #require(edit.status == 200)
            try await eventually("the account is picked") {
                try await site.workshop.http.execute(CurlRequest(url: "\(origin)/gw/warp/secret-path")).status == 502
            }
            let answer = try await site.workshop.http.execute(CurlRequest(url: "\(origin)/metrics"))
            let text = String(decoding: answer.body, as: UTF8.self)
            #expect(answer.first("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
            #expect(!text.contains(account.id) && !text.contains("secret-path"))
            let samples = try await Self.samples(text, site.workshop)
            func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
                samples.first { $0.name == name && $0.labels == labels }?.value
            }
            #expect(value("perennial_refresh_attempts_total", ["provider": "mock", "outcome": "refreshed"]) == 1)
            #expect(value("perennial_pool_picks_total", ["pool": "warp", "tier": "anonymous"]) ?? 0 >= 1)
            #expect(value("perennial_gateway_requests_total", ["route": "warp", "code": "502"]) == 1)
            #expect(value("perennial_gateway_calls") == 0)
            #expect(value("perennial_metrics_dropped_total") == 0)
        }
    }

    private static func samples(_ text: String, _ workshop: Workshop) async throws -> [Sample] {
        let file = workshop.path("metrics.txt")
        try TextFile.write(text, to: file)
        let json = try await workshop.run(
            "read-metrics", try PythonPeer.interpreter(), [PythonPeer.program("read_metrics.py"), file],
            timeout: .seconds(60))
        return try JSONDecoder().decode([Sample].self, from: Data(json.utf8))
    }
}
