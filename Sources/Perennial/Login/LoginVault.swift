import PerennialConfiguration

/// The log-ins of this machine's state directory that have been received and are not known to be in the store.
package struct LoginVault: Sendable {
    private let vault: SealedVault<KeptLogin>

    /// - Throws: `SealingError` or ``StartError`` when the sealing keys cannot be read.
    package init(_ configuration: PerennialConfiguration) throws {
        let state = try StateDirectory(creating: configuration.stateDirectory)
        vault = SealedVault(
            path: state.logins, of: "login", suffix: "login",
            ring: try Instance.keyRing(configuration, state: state))
    }

    package var path: String { vault.path }

    /// Returns only when the log-in is on disk (fsync).
    ///
    /// - Throws: ``StartError``, or `SealingError`: what cannot be sealed is not written.
    package func keep(_ login: KeptLogin) throws {
        try vault.keep(login, as: login.attempt)
    }

    /// Forgets a log-in that the store has, or that is of no use.
    package func drop(_ attempt: String) {
        vault.drop(attempt)
    }

    /// The names of those that are kept, in order.
    package func attempts() -> [String] { vault.names() }

    /// - Throws: ``StartError`` where there is none of that name or it cannot be read, `SealingError` where no key at hand
    ///   opens it.
    package func open(_ attempt: String) throws -> KeptLogin {
        try vault.open(attempt)
    }
}
