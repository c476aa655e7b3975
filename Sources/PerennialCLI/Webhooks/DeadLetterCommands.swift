import ArgumentParser
import CurlClient
import Perennial
import PerennialConfiguration
import RedisStore
import RefreshCore
import Webhooks

extension WebhooksCommand {
    /// Letters of one partition that are looked at: all there can be.
    private static let allLetters = 10_000

    private static func letters(_ instance: Instance, of endpoint: String?) async throws -> [DeadLetter] {
        let letters = try await RedisDeliveryStore(link: instance.link).deadLetters(limit: allLetters)
        return letters.filter { endpoint == nil || $0.endpoint == endpoint }
    }

    private static func chosen(
        _ instance: Instance, id: String?, all: Bool, endpoint: String?
    ) async throws -> [DeadLetter] {
        let letters = try await letters(instance, of: endpoint)
        guard let id else { return letters }
        let found = letters.filter { $0.id == id || $0.event.id == id }
        guard !found.isEmpty else {
            throw CommandFailure(.local, "no dead letter \(id): see perennial webhooks dead-letters")
        }
        return found
    }

    struct Choice: ParsableArguments {
        @Argument(help: "The dead letter, or the event (evt_…).")
        var id: String?

        @Flag(help: "All of them.")
        var all = false

        @Option(help: "Only those of this endpoint.")
        var endpoint: String?

        func validate() throws {
            guard (id == nil) == all else { throw ValidationError("give the id of a dead letter, or --all") }
        }
    }

    // MARK: dead-letters

    struct DeadLetters: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "dead-letters", abstract: "List the events that endpoints did not take.",
            discussion: "The newest 1,000 or so are kept (on a Cluster, of each partition).")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "Only those of this endpoint.")
        var name: String?

        struct Row: Encodable, Sendable {
            var id: String
            var endpoint: String
            var event: EventDocument
            var reason: String
            var tries: Int
            var at: String
        }

        func run() async throws {
            let (name, isJSON) = (name, output.json)
            let letters = try await options.withStore { try await WebhooksCommand.letters($0, of: name) }
            if isJSON {
                return try WebhooksCommand.printJSON(
                    letters.map {
                        Row(
                            id: $0.id, endpoint: $0.endpoint, event: EventDocument($0.event), reason: $0.reason,
                            tries: $0.tries, at: EventDocument.text($0.at))
                    })
            }
            guard !letters.isEmpty else { return Terminal.standardError("there are no dead letters") }
            var table = Table(["ID", "ENDPOINT", "EVENT", "TYPE", "ACCOUNT", "TRIES", "GIVEN UP", "WHY"])
            for letter in letters {
                table.add([
                    letter.id, letter.endpoint, letter.event.id, letter.event.type, letter.event["account"] ?? "-",
                    String(letter.tries), MachineClock.text(letter.at), letter.reason,
                ])
            }
            table.lines.forEach(Terminal.standardOutput)
        }
    }

    // MARK: replay

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send dead letters once more, now and from here.",
            discussion: """
                The webhook-id is the same as before. What is taken leaves the list; what is not stays. Exit code 2 when \
                something was not taken.
                """)

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var choice: Choice

        /// Failures in a row of one endpoint after which it is left alone.
        private static let patience = 3

        func run() async throws {
            let (id, all, endpoint) = (choice.id, choice.all, choice.endpoint)
            let isComplete = try await options.withStore { instance in
                let letters = try await WebhooksCommand.chosen(instance, id: id, all: all, endpoint: endpoint)
                if letters.isEmpty { Terminal.standardError("there are no dead letters") }
                let curl = CurlClient()
                let isComplete = try await Self.send(letters, instance, curl)
                await curl.shutdown()
                return isComplete
            }
            if !isComplete { throw ExitCode(CommandFailure.Code.remote.rawValue) }
        }

        private static func send(_ letters: [DeadLetter], _ instance: Instance, _ curl: CurlClient) async throws -> Bool
        {
            let sender = CurlWebhookSender(curl: curl, wall: { MachineClock.now })
            let store = RedisDeliveryStore(link: instance.link)
            var failures: [String: Int] = [:]
            var isComplete = true
            for letter in letters {
                guard let endpoint = instance.configuration.webhooks[letter.endpoint] else {
                    Terminal.standardError(
                        "\(letter.id): webhook endpoint \(letter.endpoint) is not configured any more")
                    isComplete = false
                    continue
                }
                guard failures[endpoint.name, default: 0] < patience else {
                    isComplete = false
                    continue
                }
                let result = await sender.send(letter.event, to: endpoint)
                Terminal.standardOutput(
                    "\(letter.id) \(letter.event.id) \(endpoint.name): \(WebhooksCommand.words(result))")
                if result == .delivered {
                    failures[endpoint.name] = 0
                    _ = try await store.drop(letter.id)
                } else {
                    failures[endpoint.name, default: 0] += 1
                    isComplete = false
                    if failures[endpoint.name] == patience {
                        Terminal.standardError("\(endpoint.name) has failed \(patience) times in a row: left alone")
                    }
                }
            }
            return isComplete
        }
    }

    // MARK: drop

    struct Drop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Throw dead letters away.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var choice: Choice

        func run() async throws {
            let (id, all, endpoint) = (choice.id, choice.all, choice.endpoint)
            let count = try await options.withStore { instance in
                let letters = try await WebhooksCommand.chosen(instance, id: id, all: all, endpoint: endpoint)
                let store = RedisDeliveryStore(link: instance.link)
                var count = 0
                for letter in letters where try await store.drop(letter.id) { count += 1 }
                return count
            }
            Terminal.standardError("\(count) dead letters thrown away")
        }
    }
}
