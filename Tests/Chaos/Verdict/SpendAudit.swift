import MockProvider

/// Reads the providers' ledgers: whether a refresh token was sent twice without leave.
struct SpendAudit: Sendable {
    /// Uses of refresh tokens.
    private(set) var uses = 0
    /// Second uses that an instance has announced, at most one for each generation.
    private(set) var recoveries = 0
    /// Second uses that nobody has announced, or third ones. Must be none.
    private(set) var unexcused: [String] = []
    /// Refresh tokens to which the provider gave an answer that nobody can read.
    private(set) var unreadable: Set<TokenFingerprint> = []
    /// The uses of each account, oldest first.
    private(set) var byAccount: [String: [MockTokenUse]] = [:]

    init(ledgers: [MockLedger], log: LogScan) {
        for ledger in ledgers {
            uses += ledger.uses.count
            for use in ledger.uses {
                if [.fault("truncated"), .fault("unparseable")].contains(use.outcome) {
                    unreadable.insert(use.fingerprint)
                }
                if let account = use.account { byAccount[account, default: []].append(use) }
            }
        }
        for (account, uses) in byAccount.sorted(by: { $0.key < $1.key }) {
            var generations: [TokenFingerprint: Int] = [:]
            var seen: [TokenFingerprint: Int] = [:]
            for use in uses where !Self.isRefusedUnread(use) {
                // A token is first used when its predecessor's answer is in the store: the order is that of generations.
                let generation = generations[use.fingerprint] ?? generations.count + 1
                generations[use.fingerprint] = generation
                seen[use.fingerprint, default: 0] += 1
                guard let count = seen[use.fingerprint], count > 1 else { continue }
                let announced = log.recoveries[.init(account: account, generation: generation)] ?? 0
                if count == 2, announced > 0 {
                    recoveries += 1
                } else {
                    unexcused.append(
                        "use \(count) of the refresh token of generation \(generation) of \(account) at "
                            + "\(use.at.milliseconds): \(use.outcome), \(announced) re-sends announced")
                }
            }
        }
    }

    /// The provider has said for certain that it has not looked at the token: using it again is no second use.
    private static func isRefusedUnread(_ use: MockTokenUse) -> Bool {
        if case .fault(let name) = use.outcome { return name == "throttle" || name == "invalid-client" }
        return false
    }
}
