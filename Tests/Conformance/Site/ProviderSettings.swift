import MockProvider
import PerennialServers

/// The entry of one trial's provider in the configuration.
struct ProviderSettings: Sendable {
    let trial: Trial
    let running: ConformanceSite.RunningDouble
    let workshop: Workshop

    /// What a trial's client has whose secret is not the registered one.
    static let wrongSecret = "wrong"

    private var row: TableRow { trial.row }
    private var double: DoubleConfiguration { row.double }

    var yaml: String {
        // Times that leave a busy machine room; a failure is soon followed by another try.
        let times = [
            "send_by: 15s", "connect_timeout: 15s", "exchange_deadline: 30s", "lock_ttl: 46s",
            "backoff: { base: 300ms, cap: 2s }",
        ]
        let lines =
            ["preset: \(row.preset)", "token_url: \(YAMLText.quoted(tokenURL))"] + client + row.settings + times
        return "  \(trial.provider):\n"
            + lines.map { "    \($0.replacing(TableRow.tokenURLMark, with: tokenURL))\n" }.joined()
    }

    private var tokenURL: String { running.double.tokenURL(port: running.port) }

    private var client: [String] {
        // These have none: a key in the query, an assertion, or nothing stands for the client.
        guard ![.jwtBearer, .warp, .intranet].contains(double.row) else { return [] }
        var lines = ["client_id: \(YAMLText.quoted(trial.clientID))"]
        if let secret = double.clientSecret {
            lines.append("client_secret: \(YAMLText.quoted(trial.hasForeignClient ? Self.wrongSecret : secret))")
        }
        return lines
    }
}
