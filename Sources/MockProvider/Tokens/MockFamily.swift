/// One account's grant chain: the refresh tokens that descend from one authorisation.
///
/// Constant in size however often it is refreshed.
struct MockFamily: Sendable {
    /// What the presentation of a refresh token of this family amounts to.
    enum Presentation: Equatable {
        /// The one unspent token.
        case current
        /// The last spent token, again, within the grace.
        case graceReplay
        /// A spent token, again.
        case reuse
        /// A generation that was never issued: a token of another run with the same seed.
        case unknown
    }

    /// Index of the account that the grant belongs to.
    let account: Int32
    /// Generation of the refresh token that is unspent; 0 at authorisation.
    private(set) var generation: UInt32 = 0
    /// Serial and expiry of the access token issued last.
    private(set) var accessSerial: UInt32 = 0
    private(set) var accessExpiresAt: MockInstant
    /// When the token before the current one was used first.
    private var spentAt = MockInstant(milliseconds: 0)
    /// How often the current token, and the one before it, have been presented.
    private(set) var usesOfCurrent: UInt32 = 0
    private(set) var usesOfPrevious: UInt32 = 0
    var isRevoked = false

    init(account: Int32, accessExpiresAt: MockInstant) {
        self.account = account
        self.accessExpiresAt = accessExpiresAt
    }

    /// Judges a presented generation. Changes nothing.
    func judge(generation presented: UInt32, grace: Duration?, at now: MockInstant) -> Presentation {
        if presented == generation { return .current }
        if presented > generation { return .unknown }
        if let grace, presented == generation - 1, now < spentAt.advanced(by: grace) { return .graceReplay }
        return .reuse
    }

    /// Whether the generation has been consumed by a rotation.
    func isSpent(generation presented: UInt32) -> Bool {
        presented < generation
    }

    /// Counts a presentation of the current or the previous token and answers how many there have been; nil for an
    /// older one, which the family no longer counts.
    mutating func countUse(of presented: UInt32) -> UInt32? {
        if presented == generation {
            usesOfCurrent &+= 1
            return usesOfCurrent
        }
        guard presented < generation, presented == generation - 1 else { return nil }
        usesOfPrevious &+= 1
        return usesOfPrevious
    }

    /// Issues a new access token and leaves the refresh token as it is.
    mutating func renewAccess(expiresAt: MockInstant) {
        accessSerial &+= 1
        accessExpiresAt = expiresAt
    }

    /// Consumes the current refresh token and issues the next pair.
    mutating func rotate(expiresAt: MockInstant, at now: MockInstant) {
        renewAccess(expiresAt: expiresAt)
        generation &+= 1
        spentAt = now
        usesOfPrevious = usesOfCurrent
        usesOfCurrent = 0
    }
}
