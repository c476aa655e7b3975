import Logging
import Providers
import RefreshCore

/// What accounts and pools have to be told about tries.
extension GatewayCall {
    /// - Parameter waits: whether another try follows, which has to find the pool told. What ends the call waits only for
    ///   reports that whoever calls again has to find told.
    func tell(_ report: AttemptMachine.Report?, until: WallTime?, waits: Bool) async {
        switch report {
        case nil: return
        case .refreshBehind(let account, let generation):
            Task { [tokens = gateway.tokens] in
                _ = try? await tokens.serve(TokenRequest(account: account, refused: generation))
            }
        case .pool(let outcome):
            guard let report = poolReport(outcome, until: until), let pools = gateway.pools else { return }
            let telling = { @Sendable [logger = gateway.logger] () async -> Void in
                do throws(PoolFailure) {
                    try await pools.report(report)
                } catch {
                    logger.warning(
                        "the pool could not be told of a call: \(error)", metadata: ["pool": "\(report.pool)"])
                }
            }
            guard waits || report.changesPicks else {
                Task { await telling() }
                return
            }
            // Goes on without the caller: one who leaves, or has no more time, must not keep the others from knowing.
            await Abandonable.result(until: deadline, gateway.time, of: telling)
        }
    }

    private func poolReport(_ outcome: PoolReport.Outcome, until: WallTime?) -> PoolReport? {
        pick.map { pick in
            PoolReport(
                pool: pick.pool, account: pick.account, generation: pick.generation, outcome: outcome, until: until,
                dimension: dimension, cause: "\(outcome.rawValue) at the route \(route.name)", lease: pick.lease)
        }
    }

    /// A success ends the cool-down that an account was tried in, and what is remembered of earlier ones.
    func success(_ meaning: APIErrorClass, _ status: Int) -> AttemptMachine.Report? {
        guard meaning == .none, status < 400, let success = poolReport(.ok, until: nil),
            gateway.pools?.isNews(success) == true
        else { return nil }
        return .pool(.ok)
    }

    // MARK: Leases

    /// The pick counts as a call of its account until it is released, however long that takes.
    mutating func hold(_ pick: PoolPick?) {
        self.pick = pick
        guard let lease = pick?.lease, lease.holdsSlot, let pools = gateway.pools else { return }
        leaseKeeper = Task { await pools.keep(lease) }
    }

    mutating func release() {
        leaseKeeper?.cancel()
        leaseKeeper = nil
        guard let lease = pick?.lease, let pools = gateway.pools else { return }
        pick?.lease = nil
        Task { await pools.release(lease) }
    }
}
