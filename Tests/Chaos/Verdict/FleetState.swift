import CurlClient
import FoundationEssentials
import PerennialServers

/// What an instance says of all accounts.
struct FleetState: Sendable {
    struct Account: Decodable, Sendable {
        struct Intent: Decodable, Sendable {
            var state: String
            var resends: Int
        }
        struct Fault: Decodable, Sendable {
            var kind: String
            var message: String
        }

        var id: String
        var status: String
        var generation: Int64
        var intent: Intent?
        var lastFault: Fault?

        private enum CodingKeys: String, CodingKey {
            case id, status, generation, intent
            case lastFault = "last_fault"
        }

        /// Nothing is left to do: it lives, or only a log-in helps.
        var isSettled: Bool { isWell || status == "reauth_required" || lastFault?.kind == "outcome_unknown" }
        var isWell: Bool { status == "active" && intent == nil }
    }

    private struct Page: Decodable {
        var accounts: [Account]
        var next: String?
    }

    var accounts: [Account]

    static func read(from instance: ChaosInstance, _ http: CurlClient) async throws -> FleetState {
        var accounts: [Account] = []
        var after = ""
        while true {
            let answer = try await http.execute(
                CurlRequest(
                    url: "\(instance.origin)/v1/accounts?limit=1000\(after)", totalTimeout: .seconds(10),
                    maxResponseBytes: 64 << 20))
            guard answer.status == 200 else { throw ServerFailure("the accounts were answered \(answer.status)") }
            let page = try JSONDecoder().decode(Page.self, from: Data(answer.body))
            accounts += page.accounts
            guard let next = page.next else { return FleetState(accounts: accounts) }
            after = "&after=\(next)"
        }
    }
}
