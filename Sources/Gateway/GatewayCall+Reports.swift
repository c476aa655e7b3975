import Logging
import RefreshCore

/// What accounts and pools have to be told about tries.
extension GatewayCall {
    func tell(_ report: AttemptMachine.Report?, until: WallTime?) async {
        switch report {
        case nil: return
        case .refreshBehind(let account, let generation):
            Task { [tokens = gateway.tokens] in
                _ = try? await tokens.serve(TokenRequest(account: account, refused: generation))
            }
        case .pool(let outcome):
            guard let pick, let pools = gateway.pools else { return }
            let report = PoolReport(
                pool: pick.pool, account: pick.account, generation: pick.generation, outcome: outcome, until: until,
                dimension: dimension, cause: "\(outcome.rawValue) at the route \(route.name)", lease: pick.lease)
            let logger = gateway.logger
            // Goes on without the caller: one who leaves, or has no more time, must not keep the others from knowing.
            await TimeLimit.result(within: remaining, gateway.time) {
                do throws(PoolFailure) {
                    try await pools.report(report)
                } catch {
                    logger.warning(
                        "the pool could not be told of a call: \(error)", metadata: ["pool": "\(report.pool)"])
                }
            }
        }
    }

    /// A success ends the cool-down that an account was tried in.
    func settle(_ decision: AttemptMachine.Decision, _ status: Int) async {
        guard decision.report == nil, case .passOn = decision.step, pick?.lease?.isProbe == true else { return }
        await tell(.pool(status < 400 ? .ok : .failed), until: nil)
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
