import Logging
import NIOConcurrencyHelpers
import PerennialConfiguration
import RefreshCore
import Sealing

/// A run as it is written to disk.
private struct KeptRun: Codable {
    struct Answer: Codable {
        var step: String
        var body: [UInt8]
    }
    struct Account: Codable {
        var id: String
        var provider: String
        var name: String?
        var credential: String
    }

    var pool: String
    var tier: String
    var startedAt: Int64
    var uuid: String
    var answers: [Answer]
    var tries: Int
    var account: Account?

    init(_ run: AcquisitionRun) {
        pool = run.pool.rawValue
        tier = run.tier.rawValue
        startedAt = run.startedAt.milliseconds
        uuid = run.uuid
        answers = run.answers.map { Answer(step: $0.step, body: $0.body) }
        tries = run.tries
        account = run.account.map { account in
            Account(
                id: account.id.rawValue, provider: account.provider.rawValue, name: account.name,
                credential: account.credential.secret.reveal())
        }
    }

    func run(_ attempt: AttemptID) throws -> AcquisitionRun {
        AcquisitionRun(
            attempt: attempt, pool: try PoolName(pool), tier: try TierName(tier),
            startedAt: WallTime(milliseconds: startedAt), uuid: uuid,
            answers: answers.map { .init(step: $0.step, body: $0.body) }, tries: tries,
            account: try account.map { kept in
                AcquiredAccount(
                    id: try AccountID(kept.id), provider: try ProviderName(kept.provider), name: kept.name,
                    credential: AccountCredential(Secret(kept.credential)))
            })
    }
}

/// The runs of chains, in this machine's state directory, whose accounts are not known to be in the store.
package struct AcquisitionVault: AcquisitionRunVault {
    private let vault: SealedVault<KeptRun>
    /// Those that cannot be read and of which that has been said.
    private let told = NIOLockedValueBox<Set<String>>([])
    private let logger: Logger

    init(path: String, ring: KeyRing, logger: Logger) {
        vault = SealedVault(path: path, of: "acquisition", suffix: "acquisition", ring: ring)
        self.logger = logger
    }

    /// - Throws: `SealingError` or ``StartError`` when the sealing keys cannot be read.
    package init(_ configuration: PerennialConfiguration, logger: Logger) throws {
        let state = try StateDirectory(creating: configuration.stateDirectory)
        self.init(
            path: state.acquisitions, ring: try Instance.keyRing(configuration, state: state), logger: logger)
    }

    package func keep(_ run: AcquisitionRun) throws(AcquisitionFailure) {
        do {
            try vault.keep(KeptRun(run), as: run.attempt.rawValue)
        } catch {
            throw AcquisitionFailure(.unstored, step: nil, "it cannot be written to disk: \(error)")
        }
    }

    package func drop(_ attempt: AttemptID) {
        vault.drop(attempt.rawValue)
    }

    package func left() -> [AcquisitionRun] {
        vault.names().compactMap { name in
            do {
                return try vault.open(name).run(AttemptID(rawValue: name))
            } catch {
                guard told.withLockedValue({ $0.insert(name).inserted }) else { return nil }
                logger.error(
                    "pool: an acquisition that was left cannot be read",
                    metadata: ["file": "\(vault.path)/\(name).acquisition", "reason": "\(error)"])
                return nil
            }
        }
    }
}
