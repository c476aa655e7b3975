import ArgumentParser
import Perennial
import PerennialConfiguration
import PerennialAPI
import Providers
import RedisStore
import RefreshCore

/// `perennial accounts …`
struct AccountsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accounts",
        abstract: "Add, edit, list, show, import, remove, pause and resume accounts; restore orphans.",
        subcommands: [
            Add.self, EditCommand.self, List.self, Show.self, ImportCommand.self, Remove.self, Pause.self, Resume.self,
            Orphans.self,
            Restore.self, DropOrphan.self,
        ])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add an account, or give an existing one new credentials.",
            discussion: """
                Tokens are read from files or stdin, never from arguments, which other users of the machine can see. \
                Example: printf %s "$TOKEN" | perennial accounts add alice --provider acme --refresh-token-file -

                Accounts of providers without refresh tokens are made of fields, which are asked for on a terminal and \
                else read from stdin, one a line: perennial accounts add alice --provider intranet --field username \
                --field password
                """)

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The account's id: letters, digits and . _ - @ + :")
        var account: AccountID

        @Option(help: "A provider of the configuration.")
        var provider: ProviderName

        @Option(help: "A name for people.")
        var name: String?

        @Option(help: "File with the refresh token; - for stdin.")
        var refreshTokenFile: String?

        @OptionGroup var fields: FieldOptions

        @Option(help: "File with the access token, if there is one.")
        var accessTokenFile: String?

        @Option(help: "When the access token ends: RFC 3339 or epoch seconds.")
        var expiresAt: String?

        @OptionGroup var traits: TraitOptions

        @Flag(help: "Fail if the account exists.")
        var createOnly = false

        @Flag(help: "Take the refresh token even if the provider has refused it before, or another account has it.")
        var force = false

        func run() async throws {
            guard
                [refreshTokenFile, accessTokenFile, traits.proxyFile, fields.names.isEmpty ? nil : "-"].count(where: {
                    $0 == "-"
                }) <= 1
            else {
                throw ValidationError("only one thing can be read from stdin: give a file for the others")
            }
            let changes = try traits.changes()
            let secret = try self.secret()
            let accessToken = try accessTokenFile.map { try token($0) }
            let expiry = try expiresAt.map { text in
                guard let time = AccountTime.parse(text) else {
                    throw ValidationError("--expires-at \"\(text)\" is neither RFC 3339 nor epoch seconds")
                }
                return time
            }
            let credentials = Credentials(refreshToken: secret, accessToken: accessToken, expiresAt: expiry)
            let (account, provider, name, isJSON) = (account, provider, name, output.json)
            let rule: OverwriteRule = createOnly ? .never : .always
            let isForced = force
            try await options.withStore { instance in
                let put: AccountPut
                do throws(AccountIntake.Refusal) {
                    put = try instance.intake.admit(
                        id: account, provider: provider, name: name, credentials: credentials, overwrite: rule,
                        traits: changes, isForced: isForced, now: instance.time.wall())
                } catch {
                    throw CommandFailure(.local, error.description)
                }
                let (word, generation) = try AccountsCommand.outcome(try await instance.directory.put(put), of: put)
                if isJSON {
                    Terminal.standardOutput(
                        "{\"account\":\"\(account)\",\"outcome\":\"\(word)\",\"generation\":\(generation)}")
                } else {
                    Terminal.standardOutput("\(account): \(word), generation \(generation)")
                }
            }
        }

        /// What the account is made of: a refresh token, or fields.
        private func secret() throws -> Secret {
            guard let refreshTokenFile else { return AccountCredential.fields(try fields.read()).secret }
            guard fields.isEmpty else {
                throw ValidationError(
                    "--refresh-token-file and --field exclude each other: give what the provider needs")
            }
            return try token(refreshTokenFile)
        }

        private func token(_ path: String) throws -> Secret {
            let bytes = try Terminal.read(path, limit: 1 << 20)
            let text = String(decoding: bytes, as: UTF8.self)
            return Secret(text.trimmed)
        }
    }

    static func outcome(_ reply: PutReply, of put: AccountPut) throws -> (String, Generation) {
        let account = put.id
        switch reply {
        case .created(let generation): return ("added", generation)
        case .replaced(let generation): return ("replaced", generation)
        case .kept(let generation): return ("kept", generation)
        case .conflict(let generation):
            let now = generation.map { " at generation \($0)" } ?? ""
            throw CommandFailure(.local, "account \(account) exists already\(now)")
        case .otherProvider(let provider):
            throw CommandFailure(
                .local, "account \(account) exists at provider \(provider): remove it first, or choose another id")
        case .tooManyLabels:
            throw CommandFailure(
                .local, "account \(account) would have more than \(AccountLabels.maximumCount) labels")
        case .refusedBefore, .tokenInUse:
            throw CommandFailure(
                .local, "account \(account): \(reply.reasonAgainstToken(of: put) ?? ""); --force takes it all the same")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List all accounts, or those that are asked for.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Option(help: "Only accounts of this provider.")
        var provider: ProviderName?

        @Option(help: "Only accounts in this state.")
        var status: AccountStatus?

        @Option(help: "Only accounts in this pool.")
        var pool: PoolName?

        @Option(help: "Only accounts in this tier.")
        var tier: TierName?

        @Option(help: "Only accounts with this label: KEY, or KEY=VALUE; may be given several times.")
        var label: [String] = []

        func run() async throws {
            var filter = AccountFilter(provider: provider, status: status, pool: pool, tier: tier)
            do { filter.labels = try AccountFilter.labels(label) } catch { throw ValidationError(error.description) }
            let (isJSON, wanted) = (output.json, filter)
            try await options.withStore { instance in
                var table = Table([
                    "ACCOUNT", "PROVIDER", "STATUS", "GENERATION", "EXPIRES", "NEXT REFRESH", "POOL", "NAME",
                ])
                var isFirst = true
                if isJSON { Terminal.write(Array("[".utf8), to: 1) }
                var after: AccountID?
                repeat {
                    let page = try await instance.directory.list(after: after, limit: 500)
                    let now = instance.time.wall()
                    for account in page.accounts.map({ instance.configuration.providers.withGrantTerm($0) })
                    where wanted.matches(account) {
                        if isJSON {
                            Terminal.write(Array((isFirst ? "" : ",\n").utf8) + AccountDocument.render(account), to: 1)
                            isFirst = false
                        } else {
                            table.add([
                                account.id.rawValue, account.provider.rawValue, account.shownStatus.rawValue,
                                account.generation.description,
                                MachineClock.distance(to: account.expiresAt, from: now),
                                MachineClock.distance(to: account.enabled ? account.dueAt : nil, from: now),
                                AccountsCommand.place(account), account.name,
                            ])
                        }
                    }
                    after = page.next
                } while after != nil
                if isJSON { Terminal.standardOutput("]") } else { table.lines.forEach(Terminal.standardOutput) }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show everything about an account but its tokens.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The account.")
        var account: AccountID

        func run() async throws {
            let (account, isJSON) = (account, output.json)
            try await options.withStore { instance in
                guard let stored = try await instance.directory.read(account) else {
                    throw CommandFailure(.local, "no account \(account)")
                }
                let found = instance.configuration.providers.withGrantTerm(stored)
                let orphans = try await instance.orphans.orphans(of: account)
                if isJSON {
                    return Terminal.standardOutput(bytes: AccountDocument.render(found, orphans: orphans))
                }
                AccountsCommand.describe(found, orphans: orphans, now: instance.time.wall())
                    .forEach(Terminal.standardOutput)
            }
        }
    }

    static func describe(_ account: AccountSnapshot, orphans: [Orphan] = [], now: WallTime) -> [String] {
        func moment(_ time: WallTime?) -> String {
            time.map { "\(MachineClock.text($0)) (\(MachineClock.distance(to: $0, from: now)))" } ?? "-"
        }
        var table = Table(["account", account.id.rawValue])
        table.add(["name", account.name.isEmpty ? "-" : account.name])
        table.add(["provider", account.provider.rawValue])
        table.add(["status", account.shownStatus.rawValue])
        table.add(["pool", place(account)])
        if !account.labels.isEmpty { table.add(["labels", account.labels.description]) }
        if let proxy = account.proxy { table.add(["proxy", proxy.description]) }
        table.add(["generation", account.generation.description])
        table.add(["access token", account.accessToken?.description ?? "not set"])
        table.add(["expires", moment(account.expiresAt)])
        table.add(["obtained", moment(account.obtainedAt)])
        table.add(["next refresh", account.enabled ? moment(account.dueAt) : "paused"])
        if let authorizedAt = account.authorizedAt { table.add(["logged in", moment(authorizedAt)]) }
        if let grant = account.grant { table.add(["grant ends", moment(grant.endsAt)]) }
        table.add(["failures in a row", String(account.failures)])
        if let next = account.nextAttemptAt { table.add(["not before", moment(next)]) }
        if let fault = account.lastFault { table.add(["last fault", "\(fault.kind.rawValue): \(fault.message)"]) }
        if let intent = account.intent {
            table.add(["unresolved spend", words(intent, now: now)])
        }
        for orphan in orphans {
            let end = orphan.expiresAt.map { "access token ends \(MachineClock.distance(to: $0, from: now))" }
            table.add([
                "orphan",
                "\(orphan.attempt), kept \(MachineClock.distance(to: orphan.keptAt, from: now)): "
                    + [orphan.cause?.sentence, orphan.canBeOpened ? end : "no key at hand opens it"]
                    .compactMap { $0 }.joined(separator: "; "),
            ])
        }
        table.add(["added", moment(account.createdAt)])
        return table.lines
    }

    /// Pool and tier, for people.
    static func place(_ account: AccountSnapshot) -> String {
        guard let pool = account.pool else { return account.tier.map { "-/\($0)" } ?? "-" }
        return account.tier.map { "\(pool)/\($0)" } ?? pool.rawValue
    }

    /// A spend whose outcome is not known, for people.
    private static func words(_ intent: RefreshIntent, now: WallTime) -> String {
        let began = MachineClock.distance(to: intent.at, from: now)
        let attempt = "attempt \(intent.attempt) of instance \(intent.origin), \(began)"
        let resent = intent.resends > 0 ? ", a re-send after a lost answer" : ""
        return switch intent.state {
        case .open: "\(attempt)\(resent): has not said how it ended"
        case .ambiguous: "\(attempt)\(resent): the answer was lost, so the refresh token may have been used up"
        case .refused: "\(attempt): refused, but an orphan may hold the newest token"
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Remove accounts and their tokens.")

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: "The accounts.")
        var accounts: [AccountID]

        func run() async throws {
            let accounts = accounts
            try await options.withStore { instance in
                for account in accounts {
                    guard case .done = try await instance.directory.remove(account, ifGeneration: nil) else {
                        throw CommandFailure(.local, "no account \(account)")
                    }
                    Terminal.standardOutput("\(account): removed")
                }
            }
        }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Neither refresh nor serve these accounts.")
        @OptionGroup var options: ConfigurationOptions
        @Argument(help: "The accounts.") var accounts: [AccountID]
        func run() async throws { try await AccountsCommand.enable(accounts, false, options) }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Refresh and serve paused accounts again.")
        @OptionGroup var options: ConfigurationOptions
        @Argument(help: "The accounts.") var accounts: [AccountID]
        func run() async throws { try await AccountsCommand.enable(accounts, true, options) }
    }

    static func enable(_ accounts: [AccountID], _ enabled: Bool, _ options: ConfigurationOptions) async throws {
        try await options.withStore { instance in
            for account in accounts {
                guard case .done = try await instance.directory.edit(account, AccountEdit(enabled: enabled)) else {
                    throw CommandFailure(.local, "no account \(account)")
                }
                Terminal.standardOutput("\(account): \(enabled ? "resumed" : "paused")")
            }
        }
    }
}

extension String {
    /// Without white space at both ends: files end with a line feed.
    var trimmed: String {
        let start = drop { $0.isWhitespace }
        return String(start.reversed().drop { $0.isWhitespace }.reversed())
    }
}
