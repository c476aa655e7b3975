import ArgumentParser
import CurlClient
import PerennialConfiguration
import RefreshCore
import Webhooks

extension WebhooksCommand {
    /// `perennial webhooks test [NAME]`
    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send a sample event to an endpoint, or to all, and show what came of it.",
            discussion: """
                Needs no Redis. The sample is signed like a real event, and its data has "test": "true". Credentials in \
                headers are not shown. Exit code 2 when an endpoint did not take it.
                """)

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The endpoint. Default: all of them.")
        var name: String?

        @Option(help: "The type of the sample.")
        var event = "account.reauthorization_required"

        struct Report: Encodable {
            var endpoint: String
            var url: String
            var headers: [String: String]
            var body: String
            var status: Int?
            var milliseconds: Int64
            var outcome: String
            var isDelivered: Bool
        }

        func run() async throws {
            let catalog = try options.load().webhooks
            let endpoints = try name.map { [try WebhooksCommand.endpoint($0, of: catalog)] } ?? catalog.endpoints
            guard !endpoints.isEmpty else {
                throw CommandFailure(.local, "no webhook endpoints are configured (section webhooks)")
            }
            guard EventType.all.contains(event) else {
                throw ValidationError("--event is one of \(EventType.all.joined(separator: ", "))")
            }
            let curl = CurlClient()
            let sender = CurlWebhookSender(curl: curl, wall: { MachineClock.now })
            var reports: [Report] = []
            for endpoint in endpoints {
                let sample = SampleEvent.make(event, at: MachineClock.now)
                let attempt = await sender.attempt(sample, to: endpoint)
                reports.append(
                    Report(
                        endpoint: endpoint.name, url: endpoint.maskedURL,
                        headers: Dictionary(
                            attempt.request.headers.map { ($0.name, $0.isSecret ? Self.masked($0.value) : $0.value) },
                            uniquingKeysWith: { "\($0), \($1)" }),
                        body: endpoint.body.masked(String(decoding: attempt.request.body, as: UTF8.self)),
                        status: attempt.status,
                        milliseconds: attempt.time.wholeMilliseconds, outcome: WebhooksCommand.words(attempt.result),
                        isDelivered: attempt.result == .delivered))
            }
            await curl.shutdown()
            if output.json { try WebhooksCommand.printJSON(reports) } else { reports.forEach(Self.show) }
            if reports.contains(where: { !$0.isDelivered }) { throw ExitCode(CommandFailure.Code.remote.rawValue) }
        }

        /// The version of a signature is no secret; of anything else nothing is shown.
        private static func masked(_ value: String) -> String { value.hasPrefix("v1,") ? "v1,***" : "***" }

        private static func show(_ report: Report) {
            Terminal.standardOutput("\(report.endpoint): POST \(report.url)")
            for (name, value) in report.headers.sorted(by: { $0.key < $1.key }) {
                Terminal.standardOutput("  \(name): \(value)")
            }
            Terminal.standardOutput("  \(report.body.split(whereSeparator: \.isNewline).joined(separator: "\n  "))")
            let status = report.status.map { "HTTP \($0)" } ?? "no answer"
            Terminal.standardOutput("  -> \(status) after \(report.milliseconds) ms: \(report.outcome)")
        }
    }
}

/// An event that has not happened.
enum SampleEvent {
    static func make(_ type: String, at now: WallTime) -> FleetEvent {
        var fields: [FleetEvent.Field] = []
        func add(_ name: String, _ value: String) { fields.append(.init(name, value)) }
        switch type.prefix(while: { $0 != "." }) {
        case "token", "account":
            add("account", "example-account")
            add("provider", "example-provider")
            add("generation", "7")
        case "provider": add("provider", "example-provider")
        case "pool": add("pool", "example-pool")
        case "webhooks":
            add("endpoint", "example-endpoint")
            add("count", "3")
        default: break
        }
        switch type {
        case "token.refresh_failed", "account.reauthorization_required":
            add("cause", "refused")
            add("message", "invalid_grant: this is a test of perennial webhooks test")
        case "account.grant_expiring": add("expires_at", String((now + .seconds(7 * 86_400)).milliseconds))
        case "provider.misconfigured": add("message", "invalid_client: this is a test of perennial webhooks test")
        case "store.degraded", "store.recovered":
            add("since", String((now - .seconds(60)).milliseconds))
            add("until", String(now.milliseconds))
        case "store.command_budget":
            add("forecast", "20000")
            add("budget", "16000")
        case "leader.changed": add("epoch", "5")
        default: break
        }
        add("instance", "example-instance")
        // A partition that no store has: the id is no real event's.
        var event = FleetEvent(
            partition: 999_999,
            position: .init(
                milliseconds: UInt64(clamping: now.milliseconds), sequence: UInt64.random(in: 0..<1_000_000)),
            at: now, type: type, fields: fields)
        event.fields.append(.init("test", "true"))
        return event
    }
}
