import Logging
import RefreshCore
import Sealing

/// An account as it is written to disk.
private struct KeptAccount: Codable {
    var pool: String
    var account: String
    var provider: String
    var name: String?
    var credential: String
}

/// The accounts of this machine's state directory that have been acquired and are not known to be in the store.
struct AcquisitionVault: AcquiredAccountVault {
    private let vault: SealedVault<KeptAccount>
    private let logger: Logger

    init(path: String, ring: KeyRing, logger: Logger) {
        vault = SealedVault(path: path, of: "acquired account", suffix: "acquired", ring: ring)
        self.logger = logger
    }

    func keep(_ account: AcquiredAccount, for pool: PoolName, attempt: AttemptID) throws(AcquisitionFailure) {
        let kept = KeptAccount(
            pool: pool.rawValue, account: account.id.rawValue, provider: account.provider.rawValue,
            name: account.name, credential: account.credential.secret.reveal())
        do {
            try vault.keep(kept, as: attempt.rawValue)
        } catch {
            throw AcquisitionFailure(.unstored, step: nil, "it cannot be written to disk: \(error)")
        }
    }

    func drop(_ attempt: AttemptID) {
        vault.drop(attempt.rawValue)
    }

    func left() -> [(pool: PoolName, attempt: AttemptID, account: AcquiredAccount)] {
        vault.names().compactMap { name in
            do {
                let kept = try vault.open(name)
                let account = AcquiredAccount(
                    id: try AccountID(kept.account), provider: try ProviderName(kept.provider), name: kept.name,
                    credential: AccountCredential(Secret(kept.credential)))
                return (try PoolName(kept.pool), AttemptID(rawValue: name), account)
            } catch {
                logger.error(
                    "pool: an account that was acquired earlier cannot be read",
                    metadata: ["file": "\(vault.path)/\(name)", "reason": "\(error)"])
                return nil
            }
        }
    }
}
