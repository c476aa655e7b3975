import CurlClient
import FoundationEssentials
import MockProvider

/// A `perennial mock-provider` process.
public struct MockProcess: Sendable {
    public let port: Int
    private let http: CurlClient

    /// What accounts and configurations call it.
    public static let provider = "mock"

    public var tokenURL: String { "http://127.0.0.1:\(port)/oauth2/token" }
    /// Answers the account of a valid access token.
    public var resourceURL: String { "http://127.0.0.1:\(port)/resource" }

    /// - Parameter options: further options of the command.
    public static func start(_ workshop: Workshop, latency: String, options: [String] = []) async throws -> MockProcess
    {
        let port = try FreePort.find()
        let process = try await workshop.start(
            "mock-provider", workshop.perennial,
            ["mock-provider", "--listen", "127.0.0.1:\(port)", "--latency", latency] + options)
        let mock = MockProcess(port: port, http: workshop.http)
        try await process.waitUntil("listening", timeout: .seconds(60)) {
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
    /// - Parameter provider: its name in those lines.
    /// - Returns: JSON lines as `accounts import` reads them.
    public func seed(
        _ count: Int, prefix: String, areExpired: Bool, provider: String = MockProcess.provider
    ) async throws -> [UInt8] {
        let seed = Seed(count: count, prefix: prefix, expired: areExpired, provider: provider)
        let answer = try await http.execute(
            CurlRequest(
                method: "POST", url: "http://127.0.0.1:\(port)/admin/accounts",
                headers: [("Content-Type", "application/json")], body: Array(try JSONEncoder().encode(seed)),
                maxResponseBytes: 256 << 20))
        guard answer.status == 200 else { throw ServerFailure("the mock provider refused to seed: \(answer.status)") }
        return answer.body
    }

    /// Grants one account.
    public func seedOne(_ prefix: String, isExpired: Bool) async throws -> MockAccountLine {
        try JSONDecoder().decode(
            MockAccountLine.self, from: Data(try await seed(1, prefix: prefix, areExpired: isExpired)))
    }

    /// Replaces the faults in force; none: all is well again.
    ///
    /// - Parameter faults: in their text form, as `mock-provider --fault` reads them.
    public func setFaults(_ faults: [String]) async throws {
        let answer = try await http.execute(
            CurlRequest(
                method: "PUT", url: "http://127.0.0.1:\(port)/admin/faults",
                headers: [("Content-Type", "application/json")], body: Array(try JSONEncoder().encode(faults))))
        guard answer.status == 200 else {
            throw ServerFailure(
                "the mock provider refused the faults: \(String(decoding: answer.body, as: UTF8.self))")
        }
    }

    public func totals() async throws -> MockTotals {
        try JSONDecoder().decode(MockTotals.self, from: try await ledgerBody("/ledger"))
    }

    /// With every use of every refresh token.
    public func ledger() async throws -> MockLedger {
        try JSONDecoder().decode(MockLedger.self, from: try await ledgerBody("/ledger?detail=1"))
    }

    private func ledgerBody(_ path: String) async throws -> Data {
        let answer = try await http.execute(
            CurlRequest(
                url: "http://127.0.0.1:\(port)\(path)", totalTimeout: .seconds(60), maxResponseBytes: 1 << 30))
        guard answer.status == 200 else { throw ServerFailure("the ledger was answered \(answer.status)") }
        return Data(answer.body)
    }
}

/// One line of what the mock provider grants.
public struct MockAccountLine: Sendable, Codable {
    public var id: String
    public var provider: String
    public var refreshToken: String
    public var accessToken: String?
    /// Seconds since 1970.
    public var expiresAt: Int64?

    public init(id: String, provider: String, refreshToken: String, accessToken: String?, expiresAt: Int64?) {
        self.id = id
        self.provider = provider
        self.refreshToken = refreshToken
        self.accessToken = accessToken
        self.expiresAt = expiresAt
    }

    private enum CodingKeys: String, CodingKey {
        case id, provider
        case refreshToken = "refresh_token"
        case accessToken = "access_token"
        case expiresAt = "expires_at"
    }

    /// The body of `PUT /v1/accounts/{id}`. Tokens of the mock provider need no escapes.
    public var putBody: [UInt8] {
        var fields = ["\"provider\":\"\(provider)\"", "\"refresh_token\":\"\(refreshToken)\""]
        if let accessToken, let expiresAt {
            fields.append("\"access_token\":\"\(accessToken)\"")
            fields.append("\"expires_at\":\(expiresAt)")
        }
        return Array("{\(fields.joined(separator: ","))}".utf8)
    }
}
