import ArgumentParser
import Perennial
import PerennialAPI
import RedisStore
import RefreshCore

extension AccountsCommand {
    /// `perennial accounts orphans ID`
    struct Orphans: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the token responses of an account that came too late to be stored.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The account; a removed one may have orphans too.")
        var account: AccountID

        func run() async throws {
            let (account, isJSON) = (account, output.json)
            try await options.withStore { instance in
                let orphans = try await instance.orphans.orphans(of: account)
                if orphans.isEmpty, try await instance.directory.read(account) == nil {
                    throw CommandFailure(.local, "no account \(account)")
                }
                if isJSON { return Terminal.standardOutput(bytes: OrphanDocument.render(orphans, of: account)) }
                if orphans.isEmpty { return Terminal.standardError("account \(account) has no orphans") }
                AccountsCommand.table(orphans, now: instance.time.wall()).forEach(Terminal.standardOutput)
            }
        }
    }

    static func table(_ orphans: [Orphan], now: WallTime) -> [String] {
        var table = Table(["ATTEMPT", "SPENT", "KEPT", "BY", "ACCESS TOKEN ENDS", "WHY"])
        for orphan in orphans {
            table.add([
                orphan.attempt.rawValue, "generation \(orphan.generation)",
                MachineClock.distance(to: orphan.keptAt, from: now), orphan.origin?.rawValue ?? "-",
                orphan.canBeOpened ? MachineClock.distance(to: orphan.expiresAt, from: now) : "no key opens it",
                orphan.cause?.sentence ?? "-",
            ])
        }
        return table.lines
    }

    /// `perennial accounts restore ID ATTEMPT`
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an orphan's tokens the account's newest generation.",
            discussion: """
                The account is refreshed and served again, whatever had been the matter with it. Credentials that it \
                replaces and that nobody has spent become an orphan themselves, so that a mistake can be undone.
                """)

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The account.")
        var account: AccountID

        @Argument(help: "The attempt, as accounts orphans names it.")
        var attempt: AttemptID

        @Flag(help: "Even while a refresh is under way; its answer becomes an orphan then.")
        var force = false

        func run() async throws {
            let (account, attempt, force, isJSON) = (account, attempt, force, output.json)
            try await options.withStore { instance in
                let reply = try await instance.orphans.restore(attempt, of: account, force: force)
                let generation = try AccountsCommand.restored(reply, account: account, attempt: attempt)
                if isJSON {
                    Terminal.standardOutput(
                        "{\"account\":\"\(account)\",\"outcome\":\"restored\",\"generation\":\(generation)}")
                } else {
                    Terminal.standardOutput("\(account): restored, generation \(generation)")
                }
            }
        }
    }

    static func restored(_ reply: RestoreReply, account: AccountID, attempt: AttemptID) throws -> Generation {
        switch reply {
        case .restored(let generation): return generation
        case .busy(let obstacle):
            throw CommandFailure(
                .local, "\(obstacle.sentence): wait for its end, or add --force; its answer becomes an orphan then")
        case .noOrphan: throw noOrphan(account, attempt)
        case .noAccount: throw CommandFailure(.local, "no account \(account): add it again first")
        case .otherProvider(let current, let orphan):
            throw CommandFailure(
                .local,
                "provider \(orphan) issued this orphan, and account \(account) is one of provider \(current) now")
        }
    }

    /// `perennial accounts drop-orphan ID ATTEMPT`
    struct DropOrphan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "drop-orphan", abstract: "Throw an orphan's tokens away for good.",
            discussion: """
                Where it was the last that spoke for an account whose refresh token has been refused, the account \
                needs a new log-in from then on, and the exit code is 3.
                """)

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The account.")
        var account: AccountID

        @Argument(help: "The attempt, as accounts orphans names it.")
        var attempt: AttemptID

        @Flag(help: "Really throw it away.")
        var yes = false

        func run() async throws {
            guard yes else {
                throw CommandFailure(.local, "the orphan's tokens are lost for good when it is dropped: add --yes")
            }
            let (account, attempt, isJSON) = (account, attempt, output.json)
            let needsLogin = try await options.withStore { instance in
                let reply = try await instance.orphans.drop(attempt, of: account)
                guard reply != .noOrphan else { throw AccountsCommand.noOrphan(account, attempt) }
                let needsLogin = reply == .droppedLast
                if isJSON {
                    Terminal.standardOutput(
                        "{\"account\":\"\(account)\",\"outcome\":\"dropped\",\"reauth_required\":\(needsLogin)}")
                } else {
                    Terminal.standardOutput("\(account): dropped\(needsLogin ? "; somebody has to log in again" : "")")
                }
                return needsLogin
            }
            if needsLogin { throw ExitCode(CommandFailure.Code.reauthRequired.rawValue) }
        }
    }

    private static func noOrphan(_ account: AccountID, _ attempt: AttemptID) -> CommandFailure {
        CommandFailure(
            .local, "account \(account) has no orphan of attempt \(attempt): see perennial accounts orphans \(account)")
    }
}
