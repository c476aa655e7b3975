import CurlClient
import Providers
import RefreshCore
import Testing

@Suite("What a provider's entry says of limits, failures and grants")
struct ThrottleFieldTests {
    private func definition(_ entry: String) throws -> ProviderDefinition {
        let catalog = try readProviders("providers:\n  p: { token_url: \"https://h/\", client_id: c, \(entry) }\n")
        return try #require(catalog[try name("p")])
    }

    @Test func `all of it is read`() throws {
        let read = try definition(
            "rate_limit: { requests: 30, per: 1m, burst: 5 }, circuit_breaker: { failures: 3, cap: 10m }, "
                + "grant_max_age: 30d, grant_warning: 3d")
        #expect(read.refreshPolicy.rateLimit == RateLimit(requests: 30, per: .seconds(60), burst: 5))
        #expect(read.refreshPolicy.circuitBreaker == CircuitBreaker(failures: 3, cap: .seconds(600)))
        #expect(read.refreshPolicy.grantMaxAge == .seconds(30 * 86_400))
        #expect(read.refreshPolicy.grantWarning == .seconds(3 * 86_400))
    }

    @Test func `the breaker is on unless it is switched off, and there is no limit unless one is given`() throws {
        #expect(try definition("skew: 60s").circuitBreaker == CircuitBreaker(failures: 5, cap: .seconds(300)))
        #expect(try definition("skew: 60s").rateLimit == nil)
        #expect(try definition("circuit_breaker: off").circuitBreaker == nil)
        #expect(try definition("circuit_breaker: on").circuitBreaker == CircuitBreaker())
        #expect(try definition("circuit_breaker: { cap: 1m }").circuitBreaker == CircuitBreaker(cap: .seconds(60)))
        #expect(try definition("rate_limit: { requests: 60, per: 1m }").rateLimit?.burst == 6)
    }

    @Test(arguments: [
        ("rate_limit: { per: 1m }", "needs requests"), ("rate_limit: { requests: 3 }", "needs per"),
        ("rate_limit: 30", "rate_limit"), ("rate_limit: { requests: 0, per: 1m }", "requests"),
        ("rate_limit: { requests: 3, per: 1m, burst: 4 }", "more than requests (3)"),
        ("rate_limit: { requests: 5000, per: 1s }", "more than 1000 a second"),
        ("rate_limit: { requests: 3, per: 1m, bursts: 1 }", "bursts"),
        ("circuit_breaker: sometimes", "{ failures: 5, cap: 5m }"), ("circuit_breaker: { failures: 0 }", "failures"),
        ("circuit_breaker: { cap: 2h }", "cap"), ("grant_max_age: soon", "grant_max_age"),
        ("grant_warning: 0s", "grant_warning"),
    ])
    func `mistakes name the key and what to write`(entry: String, expected: String) {
        let issues = providerIssues("providers:\n  p: { token_url: \"https://h/\", client_id: c, \(entry) }\n")
        #expect(issues.count == 1, "\(issues)")
        #expect(issues.first?.contains(expected) == true, "\(issues)")
        #expect(issues.first?.contains("p.yaml:2") == true, "\(issues)")
    }

    @Test(arguments: [
        (429, "", 30), (503, "", 30), (403, "", 30), (403, "<html>", 30), (400, #"{"error":"slow_down"}"#, 30),
        (418, #"{"error":"busy_now"}"#, 30),
    ])
    func `Retry-After counts in both forms wherever the answer is a throttle`(
        status: Int, body: String, seconds: Int
    ) throws {
        let catalog = try readProviders(
            "providers:\n  p: { token_url: \"https://h/\", client_id: c, errors: { throttled: [busy_now] } }\n")
        let client = TokenEndpointClient(
            catalog: catalog, transport: RecordingTransport(.success(.init(status: 200))), time: FixedTime())
        let date = [("Date", "Fri, 15 Jan 2027 09:00:00 GMT"), ("Retry-After", "Fri, 15 Jan 2027 09:00:30 GMT")]
        for headers in [[("Retry-After", "30")], date] {
            let outcome = client.interpret(answer(status, body, headers), provider: try name("p"))
            guard case .throttled(_, let pause) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(pause == .seconds(seconds))
        }
    }
}
