import ArgumentParser
import Perennial
import PerennialConfiguration
import RedisStore
import RefreshCore
import Webhooks

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `perennial webhooks`
struct WebhooksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "webhooks", abstract: "Where events are sent to, how that goes, and what was not taken.",
        subcommands: [List.self, Test.self, DeadLetters.self, Replay.self, Drop.self, Forget.self])

    /// - Throws: ``CommandFailure`` when there is no such endpoint.
    static func endpoint(_ name: String, of catalog: WebhookCatalog) throws -> WebhookEndpoint {
        if let endpoint = catalog[name] { return endpoint }
        let names = catalog.endpoints.map(\.name).joined(separator: ", ")
        throw CommandFailure(
            .local,
            "no webhook endpoint \(name) is configured: "
                + (names.isEmpty ? "there are none (section webhooks)" : "there are \(names)"))
    }

    static func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        Terminal.standardOutput(bytes: Array(try encoder.encode(value)))
    }

    static func words(_ result: DeliveryResult) -> String {
        switch result {
        case .delivered: "delivered"
        case .failed(let reason, _): reason
        case .rejected(let reason): "refused: \(reason)"
        case .gone: "HTTP 410 Gone: instances switch an endpoint off that answers so"
        }
    }

    // MARK: list

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the endpoints: state, backlog, last success, last error.",
            discussion: "Exit code 4 when an endpoint is failing or switched off.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        struct Row: Encodable, Sendable {
            var name: String
            var url: String
            /// ok, failing, gone, new, or unconfigured: known to Redis only.
            var state: String
            /// Events that wait, wanted or not; nil: more than are counted.
            var backlog: Int?
            /// Of these, those that have been tried or wait behind one that was.
            var open: Int
            var delivered: Int
            var deadLetters: Int
            var lost: Int
            var lastSuccess: String?
            var lastError: String?
            var lastErrorAt: String?
        }

        func run() async throws {
            let isJSON = output.json
            let rows = try await options.withStore { instance in try await Self.collect(instance) }
            if isJSON {
                try WebhooksCommand.printJSON(rows)
            } else if rows.isEmpty {
                Terminal.standardError("no webhook endpoints are configured")
            } else {
                var table = Table([
                    "NAME", "URL", "STATE", "BACKLOG", "DELIVERED", "DEAD", "LOST", "LAST SUCCESS", "LAST ERROR",
                ])
                for row in rows {
                    table.add([
                        row.name, row.url, row.state, row.backlog.map(String.init) ?? "many", String(row.delivered),
                        String(row.deadLetters), String(row.lost), row.lastSuccess ?? "-",
                        row.lastError.map { "\($0) (\(row.lastErrorAt ?? "-"))" } ?? "-",
                    ])
                }
                table.lines.forEach(Terminal.standardOutput)
            }
            if rows.contains(where: { ["failing", "gone"].contains($0.state) }) {
                throw ExitCode(CommandFailure.Code.degraded.rawValue)
            }
        }

        /// Events of a partition that are counted at most.
        private static let mostCounted = 1000

        private static func collect(_ instance: Instance) async throws -> [Row] {
            let store = RedisDeliveryStore(link: instance.link)
            let stream = RedisEventStream(link: instance.link)
            let catalog = instance.configuration.webhooks
            let statuses = try await store.statuses()
            var progress: [[String: DeliveryProgress]] = []
            for partition in 0..<stream.partitions { progress.append(try await store.progress(partition)) }
            let known = Set(progress.flatMap(\.keys)).union(statuses.keys)
            let others = known.subtracting(catalog.endpoints.map(\.name)).sorted()
            var rows: [Row] = []
            for name in catalog.endpoints.map(\.name) + others {
                let endpoint = catalog[name]
                let status = statuses[name] ?? DeliveryStatus()
                var (open, backlog): (Int, Int?) = (0, 0)
                for partition in progress.indices {
                    guard let own = progress[partition][name] else { continue }
                    open += own.open.count
                    let page = try await stream.read(partition, after: own.read, limit: mostCounted)
                    let wanted = page.events.count { endpoint?.selection.includes($0) ?? true }
                    backlog = page.isLast ? backlog.map { $0 + wanted + own.open.count } : nil
                }
                let isKnown = progress.contains { $0[name] != nil }
                rows.append(
                    Row(
                        name: name, url: endpoint?.maskedURL ?? "-",
                        state: state(status, endpoint, isKnown: isKnown, isWaiting: open > 0), backlog: backlog,
                        open: open, delivered: status.delivered, deadLetters: status.deadLetters, lost: status.lost,
                        lastSuccess: text(status.lastSuccess), lastError: status.lastError,
                        lastErrorAt: text(status.lastErrorAt)))
            }
            return rows
        }

        private static func state(
            _ status: DeliveryStatus, _ endpoint: WebhookEndpoint?, isKnown: Bool, isWaiting: Bool
        ) -> String {
            guard let endpoint else { return "unconfigured" }
            if status.goneWith == endpoint.fingerprint { return "gone" }
            guard isKnown else { return "new" }
            let isFailing = (status.lastErrorAt ?? 0) > (status.lastSuccess ?? 0)
            return isFailing && isWaiting ? "failing" : "ok"
        }

        private static func text(_ milliseconds: Int64?) -> String? {
            milliseconds.map { MachineClock.text(WallTime(milliseconds: $0)) }
        }
    }

    // MARK: forget

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget how far an endpoint has got.",
            discussion: """
                For endpoints that are no longer configured. One that comes back without having been forgotten goes on \
                where it was; one that was forgotten begins with what happens from then on.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: "The endpoint.")
        var name: String

        func run() async throws {
            let name = name
            try await options.withStore { instance in
                guard instance.configuration.webhooks[name] == nil else {
                    throw CommandFailure(
                        .local, "webhook endpoint \(name) is configured: take it out of the configuration first")
                }
                try await RedisDeliveryStore(link: instance.link).forget(name)
            }
            Terminal.standardError("forgotten: \(name)")
        }
    }
}
