import CurlClient
import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// django-oauth-toolkit as a process, with rotation, no grace, and reuse detection that revokes a whole family.
struct OAuthToolkit: Sendable {
    struct Account: Sendable, Decodable {
        var id: String
        var refreshToken: String
        var family: String

        private enum CodingKeys: String, CodingKey {
            case id, family
            case refreshToken = "refresh_token"
        }
    }

    struct Report: Sendable, Decodable {
        var families: Int
        /// Families with a live refresh token.
        var live: Int
        var liveTokens: Int
        /// Refresh tokens made since the start, those of the accounts included.
        var issued: Int
        /// Families that were revoked.
        var lost: [String]

        private enum CodingKeys: String, CodingKey {
            case families, live, issued, lost
            case liveTokens = "live_tokens"
        }
    }

    static let client = (id: "perennial-client", secret: "perennial-secret")

    let accounts: [Account]
    private let origin: String
    private let http: CurlClient

    var tokenURL: String { "\(origin)/o/token/" }

    /// - Parameter lifetime: of access tokens, in seconds.
    static func start(_ workshop: Workshop, accounts: Int, lifetime: Int) async throws -> OAuthToolkit {
        let port = try FreePort.find()
        let process = try await workshop.start(
            "oauth-toolkit", try PythonPeer.interpreter(),
            [
                PythonPeer.program("oauth_toolkit_server.py"), "--database", workshop.path("toolkit.sqlite"), "--port",
                "\(port)", "--accounts", "\(accounts)", "--lifetime", "\(lifetime)",
            ])
        try await process.waitUntil("ready", timeout: .seconds(90)) { process.log.contains("ready \(port)") }
        let lines = process.log.split(separator: "\n").filter { $0.hasPrefix("{") }
        return OAuthToolkit(
            accounts: try lines.map { try JSONDecoder().decode(Account.self, from: Data($0.utf8)) },
            origin: "http://127.0.0.1:\(port)", http: workshop.http)
    }

    func report() async throws -> Report {
        let answer = try await http.execute(CurlRequest(url: "\(origin)/report", totalTimeout: .seconds(30)))
        return try JSONDecoder().decode(Report.self, from: Data(answer.body))
    }

    /// Spends a refresh token as a careless client would.
    ///
    /// - Returns: the HTTP status.
    func spend(_ refreshToken: String) async throws -> Int {
        let body =
            "grant_type=refresh_token&refresh_token=\(refreshToken)"
            + "&client_id=\(Self.client.id)&client_secret=\(Self.client.secret)"
        return try await http.execute(
            CurlRequest(
                method: "POST", url: tokenURL, headers: [("Content-Type", "application/x-www-form-urlencoded")],
                body: Array(body.utf8), totalTimeout: .seconds(30))
        ).status
    }
}
