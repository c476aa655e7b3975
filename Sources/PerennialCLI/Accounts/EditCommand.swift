import ArgumentParser
import Perennial
import PerennialAPI
import RedisStore
import RefreshCore

/// `perennial accounts edit`
struct EditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edit", abstract: "Change an account's name, pool, tier, labels or proxy.",
        discussion: "Changes what is given and nothing else, also while the account is being refreshed.")

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The account.")
    var account: AccountID

    @Option(help: "A name for people.")
    var name: String?

    @OptionGroup var traits: TraitOptions

    @Option(help: "KEY of a label to remove; may be given several times.")
    var unlabel: [String] = []

    @Flag(help: "Take it out of its pool.")
    var noPool = false

    @Flag(help: "Let the pool decide on its tier.")
    var noTier = false

    @Flag(help: "Go by the provider's configuration again.")
    var noProxy = false

    func run() async throws {
        let (account, isJSON, edit) = (account, output.json, try edit())
        try await options.withStore { instance in
            switch try await instance.directory.edit(account, edit) {
            case .done: break
            case .tooManyLabels:
                throw CommandFailure(
                    .local, "account \(account) would have more than \(AccountLabels.maximumCount) labels")
            case .missing, .conflict: throw CommandFailure(.local, "no account \(account)")
            }
            guard isJSON else { return Terminal.standardOutput("\(account): changed") }
            guard let found = try await instance.directory.read(account) else {
                throw CommandFailure(.local, "no account \(account)")
            }
            Terminal.standardOutput(bytes: AccountDocument.render(found))
        }
    }

    private func edit() throws -> AccountEdit {
        if let name {
            do { try AccountIntake.check(name: name) } catch { throw ValidationError(error.description) }
        }
        var changes = try traits.changes()
        if !unlabel.isEmpty { changes.labels = try LabelArguments.merge(setting: traits.label, removing: unlabel) }
        for (flag, option, isGiven) in [
            ("--no-pool", "--pool", noPool && traits.pool != nil),
            ("--no-tier", "--tier", noTier && traits.tier != nil),
            ("--no-proxy", "--proxy", noProxy && !changes.proxy.isKeep),
        ] where isGiven { throw ValidationError("\(flag) and \(option) exclude each other") }
        if noPool { changes.pool = .remove }
        if noTier { changes.tier = .remove }
        if noProxy { changes.proxy = .remove }
        guard name != nil || !changes.isEmpty else {
            throw ValidationError("nothing to change: see perennial accounts edit --help")
        }
        return AccountEdit(name: name, traits: changes)
    }
}
