import ArgumentParser
import CurlClient
import Logging
import Perennial
import PerennialConfiguration
import Providers
import RedisStore
import RefreshCore

/// `perennial login`
struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login",
        abstract: "Log in at a provider in the browser: adds an account, or gives one new credentials.",
        discussion: """
            By default the provider's own way is taken: the browser comes back to this machine, or shows a code to paste, or \
            a short code is typed in on any device. An account that exists gets a new generation; its failures are \
            forgotten, and a pause stays unless --resume is given. Tokens that have been received are never lost: where they \
            cannot be stored they are kept, sealed, and --unfinished stores them later.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "A provider of the configuration.")
    var provider: ProviderName?

    @Option(help: "The account's id. Default: what the provider's login.account_id names.")
    var account: AccountID?

    @Option(help: "A name for people. Default: what login.account_name names.")
    var name: String?

    @Option(help: "The pool from which callers may be given it.")
    var pool: PoolName?

    @Option(help: "Its tier in the pool.")
    var tier: TierName?

    @Option(help: "What to ask for, instead of login.scope; may be given several times.")
    var scope: [String] = []

    @Flag(help: "Only print the address, open no browser.")
    var noBrowser = false

    @Flag(help: "Paste the code that the provider shows.")
    var paste = false

    @Flag(help: "Type in a short code on any device (RFC 8628).")
    var device = false

    @Flag(help: "Also end a pause of the account.")
    var resume = false

    @Option(help: ArgumentHelp("How long to wait for the answer.", valueName: "time"))
    var timeout = DurationArgument(.seconds(300))

    @Flag(help: "Store log-ins that were received and could not be stored; without a provider all of them.")
    var unfinished = false

    @Option(help: "With --unfinished: only this log-in. One that does not exist lists those that wait.")
    var attempt: AttemptID?

    @Option(help: ArgumentHelp("Forget a log-in that waits to be stored, for good.", valueName: "attempt"))
    var discard: AttemptID?

    @Flag(help: "With --discard: really forget it.")
    var yes = false

    func validate() throws {
        guard !(paste && device) else { throw ValidationError("--paste and --device exclude each other") }
        guard attempt == nil || unfinished else { throw ValidationError("--attempt goes with --unfinished") }
        guard !yes || discard != nil else { throw ValidationError("--yes goes with --discard ATTEMPT") }
        if discard != nil {
            guard !unfinished, !paste, !device, provider == nil, account == nil else {
                throw ValidationError("--discard takes the attempt alone: leave the others out")
            }
        } else if unfinished {
            guard !paste, !device else { throw ValidationError("--unfinished begins no log-in: leave the others out") }
        } else {
            guard provider != nil else { throw ValidationError("name a provider: perennial login PROVIDER") }
        }
        guard timeout.value >= .seconds(1), timeout.value <= .seconds(86_400) else {
            throw ValidationError("--timeout is a time from 1s to 1d")
        }
        if let name {
            do { try AccountIntake.check(name: name) } catch { throw ValidationError(error.description) }
        }
    }

    func run() async throws {
        let plan = LoginPlan(
            provider: provider, account: account, name: name, pool: pool, tier: tier,
            scope: scope.isEmpty ? nil : scope.joined(separator: " "), flow: device ? .device : paste ? .paste : nil,
            opensBrowser: !noBrowser, resumes: resume, timeout: timeout.value, isJSON: output.json, attempt: attempt)
        let unfinished = unfinished
        let configuration = try options.load()
        if let discard { return try forget(discard, configuration) }
        // Said before anything else is started: it needs nobody.
        if !unfinished { try plan.check(configuration.providers) }
        let vault = try LoginVault(configuration)
        try await options.withStore { instance in
            let desk = LoginDesk(instance: instance, vault: vault, plan: plan)
            if unfinished {
                try await desk.storeUnfinished()
            } else {
                try await desk.logIn()
            }
        }
    }
}

extension LoginCommand {
    /// Needs no store.
    fileprivate func forget(_ attempt: AttemptID, _ configuration: PerennialConfiguration) throws {
        let vault = try LoginVault(configuration)
        let login = try WaitingLogin.named(
            attempt, among: WaitingLogin.all(in: vault, catalog: configuration.providers))
        guard yes else {
            throw CommandFailure(
                .local, "log-in \(login): discarding it loses what it brought for good: add --yes")
        }
        vault.drop(login.attempt)
        guard !vault.attempts().contains(login.attempt) else {
            throw CommandFailure(.local, "log-in \(attempt) cannot be removed from \(vault.path)")
        }
        Terminal.standardOutput(
            output.json
                ? "{\"attempt\":\"\(attempt)\",\"outcome\":\"discarded\"}" : "\(attempt): discarded")
    }
}

/// What somebody wants.
struct LoginPlan: Sendable {
    var provider: ProviderName?
    var account: AccountID?
    var name: String?
    var pool: PoolName?
    var tier: TierName?
    var scope: String?
    /// Nil: the provider's own.
    var flow: LoginFlow?
    var opensBrowser: Bool
    var resumes: Bool
    var timeout: Duration
    var isJSON: Bool
    /// Of the log-ins that wait, only this one.
    var attempt: AttemptID?

    /// The provider's definition and the flow to take.
    ///
    /// - Throws: ``CommandFailure`` naming what is missing in the configuration or on the command line.
    @discardableResult
    func check(_ catalog: ProviderCatalog) throws -> (definition: ProviderDefinition, flow: LoginFlow) {
        guard let provider, let definition = catalog[provider] else {
            let known = catalog.providers.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(
                .local,
                "provider \"\(provider?.rawValue ?? "")\" is not configured (known: \(known.isEmpty ? "none" : known))")
        }
        guard let flow = flow ?? definition.login.standardFlow else {
            throw CommandFailure(
                .local,
                "the configuration does not say how to log in at \(provider): set "
                    + "providers.\(provider).login.authorization_url, or device_authorization_url")
        }
        if let obstacle = definition.login.obstacle(to: flow, provider: provider) {
            throw CommandFailure(.local, "cannot log in at \(provider) this way: \(obstacle)")
        }
        guard account != nil || definition.login.accountID != nil else {
            throw CommandFailure(
                .local,
                "give --account ID: nothing tells which account this will be (providers.\(provider).login.account_id)")
        }
        return (definition, flow)
    }
}
