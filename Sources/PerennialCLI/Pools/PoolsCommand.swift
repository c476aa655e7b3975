import ArgumentParser
import ConfigurationFile
import Perennial
import PerennialAPI
import RefreshCore

/// `perennial pools …`: pools as their callers meet them, and what a person decides about cool-downs.
struct PoolsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pools", abstract: "Show pools, put accounts of theirs aside, and take them back.",
        subcommands: [List.self, Show.self, Cooldown.self, Release.self])

    /// - Throws: ``CommandFailure`` where the configuration has no pools.
    static func desk(_ instance: Instance) throws -> PoolDesk {
        guard let desk = instance.pools else {
            throw CommandFailure(.local, "the configuration has no pools: put them under pools")
        }
        return desk
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The pools of the configuration, and how many of their accounts are available.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let isJSON = output.json
            try await options.withStore { instance in
                let pools = try await instance.pools?.statuses() ?? []
                if isJSON { return Terminal.standardOutput(bytes: PoolDocument.render(pools)) }
                if pools.isEmpty { return Terminal.standardError("the configuration has no pools") }
                PoolsCommand.table(pools, now: instance.time.wall()).forEach(Terminal.standardOutput)
            }
        }
    }

    static func table(_ pools: [PoolStatus], now: WallTime) -> [String] {
        var table = Table(["POOL", "STRATEGY", "ACCOUNTS", "AVAILABLE", "NEXT", "WHEN EXHAUSTED"])
        for pool in pools {
            let resorts = [pool.settings.acquisition == nil ? nil : "acquires", pool.hasFallback ? "fallback" : nil]
            let resort = resorts.compactMap { $0 }.joined(separator: ", then ")
            table.add([
                pool.settings.name.rawValue, pool.settings.strategy.rawValue, String(pool.members.count),
                String(pool.available),
                pool.available > 0 ? "now" : MachineClock.distance(to: pool.nextAt, from: now),
                resort.isEmpty ? "an error" : resort,
            ])
        }
        return table.lines
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The accounts of a pool, and their cool-downs.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The pool.")
        var pool: PoolName

        func run() async throws {
            let (pool, isJSON) = (pool, output.json)
            try await options.withStore { instance in
                let status = try await PoolsCommand.desk(instance).status(of: pool)
                let now = instance.time.wall()
                if isJSON { return Terminal.standardOutput(bytes: PoolDocument.render(status, now: now)) }
                if status.members.isEmpty { return Terminal.standardError("pool \(pool) has no accounts") }
                PoolsCommand.members(status, now: now).forEach(Terminal.standardOutput)
                let cooldowns = PoolsCommand.cooldowns(status, now: now)
                if !cooldowns.isEmpty { ([""] + cooldowns).forEach(Terminal.standardOutput) }
            }
        }
    }

    static func members(_ pool: PoolStatus, now: WallTime) -> [String] {
        var table = Table(["ACCOUNT", "TIER", "STATE", "UNTIL", "TOKEN ENDS"])
        for member in pool.members {
            table.add([
                member.account.id.rawValue, member.tier.rawValue, member.standing.word,
                MachineClock.distance(to: member.standing.end, from: now),
                MachineClock.distance(to: member.account.expiresAt, from: now),
            ])
        }
        return table.lines
    }

    /// Of those that run; none where there are none.
    static func cooldowns(_ pool: PoolStatus, now: WallTime) -> [String] {
        let running = pool.cooldowns.filter { $0.isRunning(at: now) }
        guard !running.isEmpty else { return [] }
        var table = Table(["COOLING DOWN", "FOR", "ENDS", "IN A ROW", "SAID BY", "CAUSE"])
        for cooldown in running {
            table.add([
                cooldown.key.account.rawValue, cooldown.key.dimension ?? "everything",
                MachineClock.distance(to: cooldown.until, from: now), String(cooldown.repeats),
                cooldown.isTold ? "provider or person" : "nobody: a guess", cooldown.cause,
            ])
        }
        return table.lines
    }

    struct Cooldown: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put an account of a pool aside for a time.",
            discussion: "No instance picks it before that is over. Its token is refreshed as before.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The pool.")
        var pool: PoolName

        @Argument(help: "The account.")
        var account: AccountID

        @Option(name: .customLong("for"), help: "How long: 90s, 10m, 2h, 1d.")
        var length: DurationArgument

        @Option(help: "Only for this model or scope.")
        var dimension: String?

        @Option(help: "Why, for whoever looks.")
        var cause = "put here by hand"

        func validate() throws {
            guard length.value >= .seconds(1) else { throw ValidationError("--for has to be at least 1s") }
            if let dimension, !(1...PoolRequest.maximumDimension).contains(dimension.utf8.count) {
                throw ValidationError("--dimension has to be 1 to \(PoolRequest.maximumDimension) bytes")
            }
        }

        func run() async throws {
            let key = CooldownKey(account: account, dimension: dimension)
            let (pool, length, cause, isJSON) = (pool, length.value, cause, output.json)
            try await options.withStore { instance in
                let now = instance.time.wall()
                let cooldown = try await PoolsCommand.desk(instance).cool(
                    key, in: pool, until: now + length, cause: cause)
                if isJSON { return Terminal.standardOutput(bytes: PoolDocument.render(cooldown)) }
                Terminal.standardOutput(
                    "\(key.account): not picked from pool \(pool) until \(MachineClock.text(cooldown.until))")
                if cooldown.until < now + length {
                    Terminal.standardError("warning: that is as long as cooldown.limit of the pool allows")
                }
            }
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End the cool-downs of an account, or of all accounts of a pool.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The pool.")
        var pool: PoolName

        @Argument(help: "The account.")
        var account: AccountID?

        @Flag(help: "All accounts.")
        var all = false

        func validate() throws {
            guard (account == nil) == all else { throw ValidationError("name an account, or give --all") }
        }

        func run() async throws {
            let (pool, account, isJSON) = (pool, account, output.json)
            try await options.withStore { instance in
                let keys = try await PoolsCommand.desk(instance).release(account, in: pool)
                if isJSON { return Terminal.standardOutput(bytes: PoolDocument.render(released: keys, of: pool)) }
                if keys.isEmpty { return Terminal.standardError("nothing was cooling down") }
                for key in keys {
                    Terminal.standardOutput(
                        "\(key.account): released\(key.dimension.map { " for \($0)" } ?? "")")
                }
            }
        }
    }
}
