import ArgumentParser
import Logging
import Perennial
import PerennialConfiguration
import Providers
import RedisStore
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `perennial status`
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the fleet: Redis, leader, instances, accounts by state.",
        discussion: "Exit code 0 when all is well, 3 when accounts need a new log-in, 4 when refreshing fails for some."
    )

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    struct Report: Encodable, Sendable {
        struct Lead: Encodable, Sendable {
            var instance: String
            var epoch: Int64
        }
        /// What the fleet sends to Redis, by the forecasts of its instances.
        struct Commands: Encodable, Sendable {
            /// Nil until the first instance has a forecast.
            var perDay: Int?
            /// Instances that have a forecast.
            var instances: Int
            var budget: Int?
            /// Of the budget: 1 is all of it.
            var share: Double?

            init(_ fleet: [InstanceInfo], budget: Int?) {
                perDay = CommandBudget.forecast(fleet)
                instances = fleet.count { $0.commandsPerDay != nil }
                self.budget = budget
                if let perDay, let budget { share = (1000 * Double(perDay) / Double(budget)).rounded() / 1000 }
            }
        }
        /// A provider that is not asked as usual.
        struct Provider: Encodable, Sendable {
            var name: String
            var circuit: String
            var failures: Int
            /// Milliseconds since 1970.
            var pausedUntil: Int64?
            var cause: String?
            var message: String?

            /// Nil for one that is asked as usual.
            init?(_ condition: ProviderCondition) {
                guard condition.pausedUntil != nil || condition.circuit != .closed || condition.failures > 0 else {
                    return nil
                }
                name = condition.provider.rawValue
                circuit = condition.circuit.rawValue
                failures = condition.failures
                pausedUntil = condition.pausedUntil?.milliseconds
                cause = condition.cause?.kind.rawValue
                message = condition.cause?.message
            }
        }
        var redisVersion: String?
        var warnings: [String]
        var leader: Lead?
        var instances: [InstanceInfo]
        var commands: Commands
        /// Those that are paused or fail.
        var providers: [Provider]
        var accounts: [String: Int]
        var total: Int
        var nextExpiry: Int64?
        var needsLogin: [String]
    }

    func run() async throws {
        let isJSON = output.json
        let report = try await options.withStore { instance in try await Self.collect(instance) }
        if isJSON {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            Terminal.standardOutput(bytes: Array(try encoder.encode(report)))
        } else {
            Self.describe(report, now: MachineClock.now).forEach(Terminal.standardOutput)
        }
        if !report.needsLogin.isEmpty { throw ExitCode(CommandFailure.Code.reauthRequired.rawValue) }
        if (report.accounts["degraded"] ?? 0) > 0 { throw ExitCode(CommandFailure.Code.degraded.rawValue) }
    }

    private static func collect(_ instance: Instance) async throws -> Report {
        let desk = try JournalDesk(instance.configuration)
        let fleet = try await instance.registry.instances()
        var report = Report(
            redisVersion: await ServerSurvey.version(instance.link),
            warnings: await ServerSurvey.warnings(instance.link)
                + JournalWords.warnings(try desk.reports(), catalog: desk.catalog, now: desk.now)
                + LoginWords.warnings(try LoginVault(instance.configuration))
                + AcquisitionWords.warnings(
                    try AcquisitionVault(
                        instance.configuration, logger: Logger(label: "status") { _ in SwiftLogNoOpLogHandler() }
                    ).left(), now: MachineClock.now),
            leader: try await instance.leases.holder().map { Report.Lead(instance: $0.instance, epoch: $0.epoch) },
            instances: fleet, commands: Report.Commands(fleet, budget: instance.configuration.redis.commandBudget),
            providers: try await instance.providerMonitor.conditions(
                of: instance.configuration.providers.providers
            ).compactMap { Report.Provider($0) },
            accounts: [:], total: 0, nextExpiry: nil,
            needsLogin: [])
        var after: AccountID?
        repeat {
            let page = try await instance.directory.list(after: after, limit: 500)
            for account in page.accounts {
                report.total += 1
                report.accounts[account.shownStatus.rawValue, default: 0] += 1
                if account.shownStatus == .reauthRequired, report.needsLogin.count < 100 {
                    report.needsLogin.append(account.id.rawValue)
                }
                if account.shownStatus != .disabled, let expiresAt = account.expiresAt?.milliseconds {
                    report.nextExpiry = min(report.nextExpiry ?? expiresAt, expiresAt)
                }
            }
            after = page.next
        } while after != nil
        return report
    }

    static func describe(_ commands: Report.Commands, of instances: Int) -> String {
        guard let perDay = commands.perDay else {
            let budget = commands.budget.map { ", budget \($0) a day" } ?? ""
            return "Commands   no forecast yet\(budget)"
        }
        var line = "Commands   about \(perDay) a day"
        if commands.instances < instances { line += " by \(commands.instances) of \(instances) instances" }
        if let budget = commands.budget, let share = commands.share {
            line += ", \(Int((share * 100).rounded())) % of the budget of \(budget)"
        }
        return line
    }

    /// `Provider   acme: circuit open after 7 failures, paused until … (in 40 s): HTTP 502`
    static func describe(_ provider: Report.Provider, now: WallTime) -> String {
        var parts: [String] = []
        switch provider.circuit {
        case ProviderCondition.Circuit.open.rawValue:
            parts.append("circuit open after \(provider.failures) failures in a row")
        case ProviderCondition.Circuit.halfOpen.rawValue:
            parts.append("circuit half open after \(provider.failures) failures in a row, one refresh goes first")
        default:
            if provider.failures > 0 { parts.append("\(provider.failures) failures in a row") }
        }
        if let until = provider.pausedUntil.map({ WallTime(milliseconds: $0) }) {
            parts.append("paused until \(MachineClock.text(until)) (\(MachineClock.distance(to: until, from: now)))")
        }
        let cause = [provider.cause, provider.message].compactMap { $0 }.joined(separator: ", ")
        return "Provider   \(provider.name): " + parts.joined(separator: ", ") + (cause.isEmpty ? "" : ": \(cause)")
    }

    private static func describe(_ report: Report, now: WallTime) -> [String] {
        var lines = ["Redis      \(report.redisVersion ?? "unknown version")"]
        lines += report.warnings.map { "           warning: \($0)" }
        lines.append(describe(report.commands, of: report.instances.count))
        lines.append("Leader     \(report.leader.map { "\($0.instance) (epoch \($0.epoch))" } ?? "none")")
        let states = AccountStatus.allCases.compactMap { status in
            report.accounts[status.rawValue].map { "\($0) \(status.rawValue)" }
        }
        lines.append("Accounts   \(report.total)\(states.isEmpty ? "" : ": " + states.joined(separator: ", "))")
        if let expiry = report.nextExpiry {
            lines.append(
                "           the first to expire does so \(MachineClock.distance(to: WallTime(milliseconds: expiry), from: now))"
            )
        }
        lines += report.providers.map { describe($0, now: now) }
        if !report.needsLogin.isEmpty {
            lines.append("           log in again: \(report.needsLogin.joined(separator: ", "))")
        }
        lines.append("Instances  \(report.instances.count)")
        if !report.instances.isEmpty {
            var table = Table(["INSTANCE", "HOST", "PID", "VERSION", "ROLE", "REFRESHES", "UP", "LISTENS ON"])
            for instance in report.instances {
                table.add([
                    instance.id, instance.host, String(instance.pid), instance.version,
                    instance.isLeader ? "leader" : instance.isProactive ? "follower" : "lazy only",
                    String(instance.refreshes),
                    MachineClock.span(max(0, now.milliseconds - instance.startedAt) / 1000),
                    instance.listen.joined(separator: ", "),
                ])
            }
            lines += table.lines.map { "  \($0)" }
        }
        return lines
    }
}
