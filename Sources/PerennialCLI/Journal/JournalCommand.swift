import ArgumentParser
import Journal
import Perennial
import PerennialConfiguration
import Providers
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `perennial journal …`
struct JournalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "Look at the token responses that wait in this machine's journals, store them, or drop them.",
        discussion: """
            A journal keeps every answer of a provider until it is known to be in Redis. Instances store them by \
            themselves, at their start and whenever Redis is back; what stays is of no use as it is, or belongs to an \
            instance that does not run any more. No command shows a token.
            """,
        subcommands: [List.self, Show.self, Replay.self, Drop.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the answers that are not known to be in Redis. Needs no Redis and disturbs no instance.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Flag(help: "Also the answers that are in Redis and kept for a while in case a failover loses them there.")
        var all = false

        func run() async throws {
            let desk = try JournalDesk(try options.load())
            let reports = try desk.reports()
            let findings = reports.flatMap { $0.findings(catalog: desk.catalog, now: desk.now) }
                .filter { all || $0.worth != .stored }
            for report in reports {
                JournalWords.damage(report).forEach { Terminal.standardError("warning: \($0)") }
            }
            if output.json { return try JournalCommand.printJSON(findings) }
            if findings.isEmpty { return Terminal.standardError("no answers wait in \(desk.directory.path)") }
            JournalCommand.table(findings).forEach(Terminal.standardOutput)
        }
    }

    static func table(_ findings: [JournalFinding]) -> [String] {
        var table = Table(["ATTEMPT", "INSTANCE", "RUNNING", "ACCOUNT", "PROVIDER", "SPENT", "AGE", "WORTH", "WHY"])
        for finding in findings {
            table.add([
                finding.attempt, finding.instance, finding.held ? "yes" : "no", finding.account ?? "-",
                finding.provider ?? "-", finding.generation.map { "generation \($0)" } ?? "-",
                finding.age.map { MachineClock.span($0) } ?? "-", finding.worth.rawValue, finding.reason,
            ])
        }
        return table.lines
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one answer with everything that could be a token masked.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The attempt, as journal list names it.")
        var attempt: AttemptID

        struct Document: Encodable {
            struct Answer: Encodable {
                struct Header: Encodable {
                    var name: String
                    var value: String
                }
                var status: Int
                var headers: [Header]
                var body: String
                var bodyLength: Int
            }
            var entry: JournalFinding
            var answer: Answer?
        }

        func run() async throws {
            let configuration = try options.load()
            let (finding, entry) = try JournalDesk(configuration).find(attempt)
            let answer = entry.map { entry in
                let spent = AccountCredential(entry.spentRefreshToken).parts
                return configuration.providers[entry.provider]?.masked(entry.response, besides: spent)
                    ?? MaskedAnswer(entry.response, secrets: spent)
            }
            if output.json {
                try JournalCommand.printJSON(
                    Document(
                        entry: finding,
                        answer: answer.map { answer in
                            .init(
                                status: answer.status,
                                headers: answer.headers.map { .init(name: $0.name, value: $0.value) },
                                body: answer.body, bodyLength: answer.bodyLength)
                        }))
            } else {
                JournalCommand.describe(finding, answer).forEach(Terminal.standardOutput)
            }
        }
    }

    static func describe(_ finding: JournalFinding, _ answer: MaskedAnswer?) -> [String] {
        var table = Table(["attempt", finding.attempt])
        table.add(["instance", finding.instance + (finding.held ? ", running" : ", not running")])
        table.add(["account", finding.account ?? "-"])
        table.add(["provider", finding.provider ?? "-"])
        table.add(["spent generation", finding.generation.map(String.init) ?? "-"])
        if let requestedAt = finding.requestedAt, let age = finding.age {
            table.add(["sent", "\(requestedAt) (\(MachineClock.span(age)) ago)"])
        }
        if finding.recovery == true { table.add(["re-send", "yes: the answer to an earlier one was lost"]) }
        table.add(["worth", "\(finding.worth.rawValue): \(finding.reason)"])
        if let answer {
            table.add(["status", String(answer.status)])
            for header in answer.headers { table.add(["header", "\(header.name): \(header.value)"]) }
            table.add(["body", "\(answer.bodyLength) bytes: \(answer.body)"])
        }
        return table.lines
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Store the answers that no running instance looks after.",
            discussion: """
                Exit code 0 when nothing is left, 2 when Redis did not take something now, 4 when answers of no use \
                stay.
                """)

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let before = try JournalDesk(try options.load()).findings().filter { $0.worth != .stored }
            let replay =
                before.isEmpty
                ? JournalReplay(entries: [])
                : try await options.withStore { instance in try await JournalReplay.run(before, on: instance) }
            if output.json {
                try JournalCommand.printJSON(replay)
            } else {
                for entry in replay.entries {
                    Terminal.standardOutput(
                        "\(entry.attempt): \(entry.outcome.rawValue)\(entry.account.map { ", account \($0)" } ?? "")")
                }
                if replay.entries.isEmpty { Terminal.standardError("no answers wait") }
            }
            if replay.count(.waiting) > 0 { throw ExitCode(CommandFailure.Code.remote.rawValue) }
            if replay.count(.unusable) > 0 { throw ExitCode(CommandFailure.Code.degraded.rawValue) }
        }
    }

    struct Drop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget an answer for good. What it holds is lost.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The attempt, as journal list names it.")
        var attempt: AttemptID

        @Flag(help: "Really drop it.")
        var yes = false

        func run() async throws {
            let desk = try JournalDesk(try options.load())
            guard yes else {
                let finding = try desk.find(attempt).finding
                throw CommandFailure(
                    .local,
                    "attempt \(attempt) is \(finding.worth.rawValue) (\(finding.reason)); dropping it loses it for good: "
                        + "add --yes")
            }
            let instance = try desk.drop(attempt)
            if output.json {
                try JournalCommand.printJSON(["attempt": attempt.rawValue, "instance": instance, "outcome": "dropped"])
            } else {
                Terminal.standardOutput("\(attempt): dropped from the journal of instance \(instance)")
            }
        }
    }

    static func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        Terminal.standardOutput(bytes: Array(try encoder.encode(value)))
    }
}
