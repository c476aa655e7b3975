import CurlClient
import FoundationEssentials
import MockProvider
import PerennialTesting

/// A `perennial mock-provider` process.
struct MockProcess: Sendable {
    let port: Int
    private let http: CurlClient

    var tokenURL: String { "http://127.0.0.1:\(port)/oauth2/token" }

    /// - Parameter options: further options of the command.
    static func start(_ workshop: Workshop, latency: String, options: [String] = []) async throws -> MockProcess {
        let port = try FreePort.find()
        let process = try await workshop.start(
            "mock-provider", workshop.environment.perennial,
            ["mock-provider", "--listen", "127.0.0.1:\(port)", "--latency", latency] + options)
        let mock = MockProcess(port: port, http: workshop.http)
        try await process.waitUntil("listening", timeout: .seconds(20)) {
            let answer = try? await workshop.http.execute(CurlRequest(url: "http://127.0.0.1:\(port)/livez"))
            return answer?.status == 200
        }
        return mock
    }

    private struct Seed: Encodable {
        var count: Int
        var prefix: String
        var expired: Bool
        var provider: String
    }

    /// Grants accounts; their access tokens are fresh or have expired a second ago.
    ///
    /// - Returns: JSON lines as `accounts import` reads them.
    func seed(_ count: Int, prefix: String, areExpired: Bool) async throws -> [UInt8] {
        let seed = Seed(
            count: count, prefix: prefix, expired: areExpired, provider: FleetConfiguration.provider)
        let answer = try await http.execute(
            CurlRequest(
                method: "POST", url: "http://127.0.0.1:\(port)/admin/accounts",
                headers: [("Content-Type", "application/json")], body: Array(try JSONEncoder().encode(seed)),
                maxResponseBytes: 256 << 20))
        guard answer.status == 200 else { throw BenchError("the mock provider refused to seed: \(answer.status)") }
        return answer.body
    }

    /// Grants one account.
    func seedOne(_ prefix: String, isExpired: Bool) async throws -> MockAccountLine {
        try JSONDecoder().decode(
            MockAccountLine.self, from: Data(try await seed(1, prefix: prefix, areExpired: isExpired)))
    }

    func totals() async throws -> MockTotals {
        try JSONDecoder().decode(MockTotals.self, from: try await ledgerBody("/ledger"))
    }

    /// With every use of every refresh token.
    func ledger() async throws -> MockLedger {
        try JSONDecoder().decode(MockLedger.self, from: try await ledgerBody("/ledger?detail=1"))
    }

    private func ledgerBody(_ path: String) async throws -> Data {
        let answer = try await http.execute(
            CurlRequest(
                url: "http://127.0.0.1:\(port)\(path)", totalTimeout: .seconds(60), maxResponseBytes: 1 << 30))
        guard answer.status == 200 else { throw BenchError("the ledger was answered \(answer.status)") }
        return Data(answer.body)
    }
}

/// One line of what the mock provider grants.
struct MockAccountLine: Sendable, Codable {
    var id: String
    var provider: String
    var refreshToken: String
    var accessToken: String?
    /// Seconds since 1970.
    var expiresAt: Int64?

    private enum CodingKeys: String, CodingKey {
        case id, provider
        case refreshToken = "refresh_token"
        case accessToken = "access_token"
        case expiresAt = "expires_at"
    }

    /// The body of `PUT /v1/accounts/{id}`. Tokens of the mock provider need no escapes.
    var putBody: [UInt8] {
        var fields = ["\"provider\":\"\(provider)\"", "\"refresh_token\":\"\(refreshToken)\""]
        if let accessToken, let expiresAt {
            fields.append("\"access_token\":\"\(accessToken)\"")
            fields.append("\"expires_at\":\(expiresAt)")
        }
        return Array("{\(fields.joined(separator: ","))}".utf8)
    }
}
