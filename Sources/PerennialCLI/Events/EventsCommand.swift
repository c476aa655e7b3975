import ArgumentParser
import ConfigurationFile
import Perennial
import RedisStore
import RefreshCore
import Webhooks

/// `perennial events`
struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Show what happened in the fleet: refreshes, failures, changes of accounts.",
        discussion: "The newest 10,000 events or so are kept. With --json each event is one line.")

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "Only events of this age or younger: 90s, 15m, 2h, 3d. Default: 1h.")
    var since: String?

    @Option(help: "Only these types; * stands for anything. May be given several times.")
    var type: [String] = []

    @Option(help: "Only events of this account.")
    var account: AccountID?

    @Flag(name: .shortAndLong, help: "Go on until interrupted.")
    var follow = false

    func validate() throws {
        if let since, DurationText.parse(since) == nil {
            throw ValidationError("--since is a duration: write for example 90s, 15m, 2h or 3d")
        }
    }

    func run() async throws {
        let age = since.flatMap { DurationText.parse($0) } ?? .seconds(3600)
        let (isJSON, follow) = (output.json, follow)
        let filter = Filter(types: type.map { EventSelection.Pattern($0) }, account: account)
        try await options.withStore { instance in
            let stream = RedisEventStream(link: instance.link)
            let oldest = UInt64(clamping: (instance.time.wall() - age).milliseconds)
            let start = FleetEvent.Position(milliseconds: oldest == 0 ? 0 : oldest - 1, sequence: .max)
            var places = [FleetEvent.Position](repeating: start, count: stream.partitions)
            let pause = Duration.seconds(instance.link.isFrugal ? 10 : 1)
            repeat {
                for event in try await Self.news(stream, &places) where filter.includes(event) {
                    Terminal.standardOutput(isJSON ? EventLine.json(event) : EventLine.text(event))
                }
                if follow { try await Task.sleep(for: pause) }
            } while follow
        }
    }

    private struct Filter: Sendable {
        var types: [EventSelection.Pattern]
        var account: AccountID?

        func includes(_ event: FleetEvent) -> Bool {
            (types.isEmpty || types.contains { $0.matches(event.type) })
                && (account == nil || event.account == account)
        }
    }

    /// All that came since, in the order of time.
    private static func news(
        _ stream: RedisEventStream, _ places: inout [FleetEvent.Position]
    ) async throws -> [FleetEvent] {
        var events: [FleetEvent] = []
        for partition in places.indices {
            while true {
                let page = try await stream.read(partition, after: places[partition], limit: 500)
                events += page.events
                if let last = page.events.last { places[partition] = last.position }
                if page.isLast { break }
            }
        }
        return events.sorted { ($0.position, $0.partition) < ($1.position, $1.partition) }
    }
}

/// An event on one line.
enum EventLine {
    static func json(_ event: FleetEvent) -> String {
        String(decoding: EventDocument(event).bytes, as: UTF8.self)
    }

    static func text(_ event: FleetEvent) -> String {
        let line = "\(EventDocument.text(event.at))  \(event.type)  \(EventSentence.text(event))"
        // What a provider has answered cannot forge another line.
        return String(line.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : Character($0) })
    }
}
