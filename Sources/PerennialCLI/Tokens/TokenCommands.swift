import ArgumentParser
import Perennial
import PerennialAPI
import PerennialConfiguration
import RedisStore
import RefreshCore

/// `perennial token get`
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Access tokens.", subcommands: [Get.self])

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the access token of an account, refreshing it first if it has to be.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The account.")
        var account: AccountID

        @Option(help: "The token has to be good for at least this many seconds.")
        var minTtl: Int?

        func run() async throws {
            if let minTtl, !(0...31_536_000).contains(minTtl) {
                throw ValidationError("--min-ttl is a number of seconds from 0 to 31536000")
            }
            let request = TokenRequest(account: account, minimumTTL: minTtl.map { .seconds($0) })
            let isJSON = output.json
            do {
                try await options.withStore { instance in
                    Self.show(try await instance.reader.serve(request), isJSON: isJSON, now: instance.time.wall())
                }
            } catch let unavailable as StoreUnavailable {
                guard let fallback = try options.load().fallbacks[account] else { throw unavailable }
                let failure = RefreshFailure(.storeUnavailable, "Redis is not available: \(unavailable.description)")
                Self.show(.fallback(fallback, of: account, failure), isJSON: isJSON, now: MachineClock.now)
            }
        }

        private static func show(_ served: ServedToken, isJSON: Bool, now: WallTime) {
            if isJSON { return Terminal.standardOutput(bytes: TokenDocument.render(served, now: now)) }
            switch served {
            case .account(let answer):
                Terminal.standardOutput(answer.accessToken.reveal())
                if answer.isStale { Terminal.standardError("warning: refreshing fails; this token is still valid") }
            case .fallback(let fallback, _, let failure):
                Terminal.standardOutput(fallback.token.reveal())
                let whose = fallback.pool.map { " of the pool \($0)" } ?? ""
                Terminal.standardError("warning: this is the configured fallback token\(whose): \(failure.message)")
            }
        }
    }
}

/// `perennial refresh`
struct RefreshCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "refresh", abstract: "Refresh an account now.")

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The account.")
    var account: AccountID

    @Option(help: "Only if the account is still at this generation.")
    var ifGeneration: Int64?

    func run() async throws {
        let (account, isJSON, wanted) = (account, output.json, ifGeneration.map { Generation($0) })
        try await options.withStore { instance in
            guard let before = try await instance.directory.read(account) else {
                throw CommandFailure(.local, "no account \(account)")
            }
            if let wanted, wanted > before.generation {
                throw CommandFailure(.local, "account \(account) is at generation \(before.generation)")
            }
            let (result, outcome) = await instance.coordinator.refresh(
                account, provider: before.provider, demand: .newerThan(wanted ?? before.generation),
                ignoresBackoff: true)
            switch result {
            case .failed(let failure, _): throw CommandFailure(failure)
            case .refreshed(let snapshot), .newer(let snapshot):
                if isJSON {
                    let expiry = snapshot.expiresAt.map { "\"\(MachineClock.text($0))\"" } ?? "null"
                    Terminal.standardOutput(
                        "{\"outcome\":\"\(outcome.rawValue)\",\"generation\":\(snapshot.generation),\"expires_at\":\(expiry)}"
                    )
                } else {
                    let expiry = MachineClock.distance(to: snapshot.expiresAt, from: instance.time.wall())
                    Terminal.standardOutput(
                        "\(account): \(outcome.rawValue), generation \(snapshot.generation), expires \(expiry)")
                }
            }
        }
    }
}
