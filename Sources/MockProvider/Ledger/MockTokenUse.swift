/// One presentation of one refresh token at the token endpoint.
public struct MockTokenUse: Sendable, Hashable {
    /// What came of it.
    public enum Outcome: Sendable, Hashable, CustomStringConvertible {
        /// The token was consumed and a successor issued.
        case rotated
        /// The last consumed token again, within the grace: the same successor.
        case graceReplay
        /// A consumed token again, outside what the grace allows.
        case reuse
        /// Unknown, revoked, or the client failed to authenticate.
        case refused
        /// A reusable token was used and survived.
        case reusedAllowed
        /// A fault struck; the value is the fault's name.
        case fault(String)

        /// As it stands in JSON: `rotated`, `grace_replay`, `reuse`, `refused`, `reused_allowed`, `fault:<kind>`.
        public var description: String {
            switch self {
            case .rotated: "rotated"
            case .graceReplay: "grace_replay"
            case .reuse: "reuse"
            case .refused: "refused"
            case .reusedAllowed: "reused_allowed"
            case .fault(let name): "fault:\(name)"
            }
        }

        init?(_ text: String) {
            switch text {
            case "rotated": self = .rotated
            case "grace_replay": self = .graceReplay
            case "reuse": self = .reuse
            case "refused": self = .refused
            case "reused_allowed": self = .reusedAllowed
            default:
                guard text.hasPrefix("fault:") else { return nil }
                self = .fault(String(text.dropFirst("fault:".count)))
            }
        }
    }

    /// Counts the uses from 1, in the order in which the provider processed them.
    public let sequence: Int
    public let fingerprint: TokenFingerprint
    /// Nil for a token that this provider never issued.
    public let account: String?
    /// Number of the grant chain, nil for a token that this provider never issued.
    public let family: Int?
    public let at: MockInstant
    public let outcome: Outcome
    /// The token had been consumed before and this use was outside what the grace allows. Also true where a fault
    /// struck before the provider looked at the token.
    public let isDuplicateSpend: Bool
}

extension MockTokenUse: Decodable {
    private enum CodingKeys: String, CodingKey {
        case sequence, token, account, family, at, outcome, duplicate
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        sequence = try container.decode(Int.self, forKey: .sequence)
        guard let fingerprint = TokenFingerprint(try container.decode(String.self, forKey: .token)) else {
            throw DecodingError.dataCorruptedError(
                forKey: .token, in: container, debugDescription: "not twelve hexadecimal digits")
        }
        self.fingerprint = fingerprint
        account = try container.decodeIfPresent(String.self, forKey: .account)
        family = try container.decodeIfPresent(Int.self, forKey: .family)
        at = MockInstant(milliseconds: try container.decode(Int64.self, forKey: .at))
        guard let outcome = Outcome(try container.decode(String.self, forKey: .outcome)) else {
            throw DecodingError.dataCorruptedError(
                forKey: .outcome, in: container, debugDescription: "not a known outcome")
        }
        self.outcome = outcome
        isDuplicateSpend = try container.decode(Bool.self, forKey: .duplicate)
    }
}
