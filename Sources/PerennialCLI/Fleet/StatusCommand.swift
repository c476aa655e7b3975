import ArgumentParser
import Perennial
import PerennialConfiguration
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
        var redisVersion: String?
        var warnings: [String]
        var leader: Lead?
        var instances: [InstanceInfo]
        var commands: Commands
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
                + JournalWords.warnings(try desk.reports(), catalog: desk.catalog, now: desk.now),
            leader: try await instance.leases.holder().map { Report.Lead(instance: $0.instance, epoch: $0.epoch) },
            instances: fleet, commands: Report.Commands(fleet, budget: instance.configuration.redis.commandBudget),
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
