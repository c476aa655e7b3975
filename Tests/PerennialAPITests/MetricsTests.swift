import Testing

@testable import PerennialAPI

@Suite struct MetricsTests {
    @Test func areServedAsPrometheusAsksForThem() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let answer = try await client.exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").responses[0]
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            #expect(answer.body == "calls_total 1\n")
            for (target, status) in [("/metrics/x", 404), ("/metrics?x=1", 400)] {
                let answer = try await client.exchange("GET \(target) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(answer.responses[0].status == status)
            }
        }
    }
}
