/// One run of a pool's chain, as far as it has got: all that is needed to finish it later, in this process or the next.
public struct AcquisitionRun: Sendable, Hashable {
    /// What a step's server has answered, as it came. Never shows it.
    public struct Answer: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
        public var step: String
        public var body: [UInt8]

        public init(step: String, body: [UInt8]) {
            self.step = step
            self.body = body
        }

        public var description: String { "\(step): \(body.count) bytes" }
        public var customMirror: Mirror { Mirror(self, children: [:]) }
    }

    public let attempt: AttemptID
    public let pool: PoolName
    /// That the new account joins.
    public let tier: TierName
    /// On the fleet's clock. What templates compute of the moment is the same all over a run, however long it takes.
    public let startedAt: WallTime
    /// RFC 9562; the same all over the run, too.
    public let uuid: String
    /// Of the steps that are done, in their order.
    public var answers: [Answer]
    /// How often it was begun or gone on with.
    public var tries: Int
    /// What it has brought, once all steps are done.
    public var account: AcquiredAccount?

    public init(
        attempt: AttemptID, pool: PoolName, tier: TierName, startedAt: WallTime, uuid: String, answers: [Answer] = [],
        tries: Int = 1, account: AcquiredAccount? = nil
    ) {
        self.attempt = attempt
        self.pool = pool
        self.tier = tier
        self.startedAt = startedAt
        self.uuid = uuid
        self.answers = answers
        self.tries = tries
        self.account = account
    }

    /// A new one.
    init(pool: PoolName, tier: TierName, startedAt: WallTime, using generator: inout some RandomNumberGenerator) {
        self.init(
            attempt: AttemptID(using: &generator), pool: pool, tier: tier, startedAt: startedAt,
            uuid: Self.uuid(using: &generator))
    }

    /// 122 random bits, version 4 (RFC 9562 §5.4).
    private static func uuid(using generator: inout some RandomNumberGenerator) -> String {
        func hex(_ word: UInt64) -> [Character] {
            let digits = String(word, radix: 16)
            return Array(String(repeating: "0", count: 16 - digits.count) + digits)
        }
        let high = hex(generator.next() & 0xffff_ffff_ffff_0fff | 0x4000)
        let low = hex(generator.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000)
        return [high[0..<8], high[8..<12], high[12..<16], low[0..<4], low[4..<16]].map { String($0) }
            .joined(separator: "-")
    }

    /// What the account is called where its own name is another's already: the same at each try.
    func otherID(than id: AccountID) -> AccountID? {
        try? AccountID("\(id.rawValue.prefix(180))-\(attempt.rawValue.prefix(12))")
    }
}

/// Keeps runs on disk from their first request until the store has the account.
public protocol AcquisitionRunVault: Sendable {
    /// Returns only when the run is on disk, in place of what was kept of it before.
    func keep(_ run: AcquisitionRun) throws(AcquisitionFailure)
    func drop(_ attempt: AttemptID)
    /// Those that are kept, in the order of their attempts.
    func left() -> [AcquisitionRun]
}
