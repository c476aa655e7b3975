import ConfigurationFile
import Perennial
import Providers
import RefreshCore

/// A log-in that was received and is not stored, with what can be said of it before it is.
struct WaitingLogin: Sendable {
    let attempt: String
    /// Nil where it cannot be opened.
    let kept: KeptLogin?
    /// Whose it is, as the command or the answer said; nil where neither did.
    let account: AccountID?
    /// Why it cannot be stored as things are; nil where nothing is known against it.
    let obstacle: String?

    init(_ attempt: String, kept: KeptLogin, catalog: ProviderCatalog) {
        self.attempt = attempt
        self.kept = kept
        guard let name = try? ProviderName(kept.provider), let definition = catalog[name] else {
            account = kept.account.flatMap { try? AccountID($0) }
            obstacle = "provider \(kept.provider) is not in this configuration"
            return
        }
        do throws(LoginError) {
            let grant = try LoginGrant(kept.response, definition, catalog: catalog, nonce: kept.nonce)
            account = (kept.account ?? grant.accountID).flatMap { try? AccountID($0) }
            obstacle = nil
        } catch {
            account = kept.account.flatMap { try? AccountID($0) }
            obstacle = error.description
        }
    }

    private init(_ attempt: String, unopened reason: any Error) {
        self.attempt = attempt
        kept = nil
        account = nil
        obstacle = "\(reason)"
    }

    /// Those of one provider, or of all, in the order in which they were received; those that cannot be opened come last,
    /// whatever the provider.
    static func all(in vault: LoginVault, catalog: ProviderCatalog, provider: ProviderName? = nil) -> [WaitingLogin] {
        let all = vault.attempts().compactMap { attempt -> WaitingLogin? in
            do {
                let kept = try vault.open(attempt)
                if let provider, provider.rawValue != kept.provider { return nil }
                return WaitingLogin(attempt, kept: kept, catalog: catalog)
            } catch {
                return WaitingLogin(attempt, unopened: error)
            }
        }
        return all.sorted { ($0.kept?.requestedAt ?? .max) < ($1.kept?.requestedAt ?? .max) }
    }

    /// Those that a command means.
    ///
    /// - Parameters:
    ///   - attempt: this one.
    ///   - account: the one that is to go into this account: its own, or one that names none. Somebody else's is meant only
    ///     where there is no other, or by its attempt, for two people's tokens never belong into one account.
    /// - Throws: ``CommandFailure`` with a list of what waits where it is not clear.
    static func chosen(
        from all: [WaitingLogin], attempt: AttemptID?, account: AccountID?
    ) throws(CommandFailure) -> [WaitingLogin] {
        if let attempt { return [try named(attempt, among: all)] }
        guard let account, all.count > 1 else { return all }
        let fitting = all.filter { $0.obstacle == nil && ($0.account == nil || $0.account == account) }
        if fitting.count == 1 { return fitting }
        let why =
            fitting.isEmpty
            ? "none of the \(all.count) log-ins that wait is known to be of account \(account)"
            : "\(fitting.count) log-ins that wait could be of account \(account)"
        throw CommandFailure(
            .local, "\(why), which is for one: name it with --attempt ATTEMPT" + list(fitting.isEmpty ? all : fitting))
    }

    /// - Throws: ``CommandFailure`` with a list of what waits where there is no such.
    static func named(_ attempt: AttemptID, among all: [WaitingLogin]) throws(CommandFailure) -> WaitingLogin {
        guard let found = all.first(where: { $0.attempt == attempt.rawValue }) else {
            let others = all.isEmpty ? "; no other does" : list(all)
            throw CommandFailure(.local, "no log-in \(Quoted.text(attempt.rawValue)) waits to be stored" + others)
        }
        return found
    }

    private static func list(_ logins: [WaitingLogin]) -> String {
        logins.map { "\n  \($0.description)" }.joined()
    }
}

extension WaitingLogin: CustomStringConvertible {
    /// One line without a secret.
    var description: String {
        var parts = [attempt]
        if let kept {
            parts.append("provider \(kept.provider)")
            parts.append(account.map { "account \($0)" } ?? "account not known")
            parts.append("received \(MachineClock.text(WallTime(milliseconds: kept.requestedAt)))")
        }
        return parts.joined(separator: ", ") + (obstacle.map { " (\($0))" } ?? "")
    }
}

/// How to go on with a log-in that waits.
enum WaitingWords {
    static let later = "perennial login --unfinished stores it"

    /// - Parameter change: what has to be done before it can be stored.
    static func advice(_ attempt: String, after change: String) -> String {
        "It is kept, sealed: \(change), perennial login --unfinished --attempt \(attempt) stores it, and "
            + "perennial login --discard \(attempt) forgets it"
    }

    static func discard(_ attempt: String) -> String { "perennial login --discard \(attempt) forgets it" }
}
