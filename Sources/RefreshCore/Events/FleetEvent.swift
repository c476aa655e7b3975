/// Something that happened in the fleet, as the stream of a partition holds it.
///
/// One is written for each change of a state, not for each try. It never holds a token.
public struct FleetEvent: Sendable, Hashable {
    /// Where an event stands in its stream: the milliseconds of the server's clock and a number among those of one
    /// millisecond ([Redis streams](https://redis.io/docs/latest/develop/data-types/streams/#entry-ids)).
    public struct Position: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
        public var milliseconds: UInt64
        public var sequence: UInt64

        public init(milliseconds: UInt64, sequence: UInt64) {
            self.milliseconds = milliseconds
            self.sequence = sequence
        }

        /// Before every event.
        public static let start = Position(milliseconds: 0, sequence: 0)

        /// Nil unless it is written `MILLISECONDS-SEQUENCE`.
        public init?(_ text: some StringProtocol) {
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 2, let milliseconds = UInt64(parts[0]), let sequence = UInt64(parts[1]) else {
                return nil
            }
            self.init(milliseconds: milliseconds, sequence: sequence)
        }

        public var description: String { "\(milliseconds)-\(sequence)" }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            guard let position = Position(try container.decode(String.self)) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a position in a stream")
            }
            self = position
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(description)
        }

        public static func < (lhs: Position, rhs: Position) -> Bool {
            (lhs.milliseconds, lhs.sequence) < (rhs.milliseconds, rhs.sequence)
        }
    }

    public struct Field: Sendable, Hashable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public var partition: Int
    public var position: Position
    /// When it happened, on the fleet's clock.
    public var at: WallTime
    /// Such as `account.paused`; see ``EventType``.
    public var type: String
    /// What else is known, in the order of writing.
    public var fields: [Field]

    public init(partition: Int, position: Position, at: WallTime, type: String, fields: [Field] = []) {
        self.partition = partition
        self.position = position
        self.at = at
        self.type = type
        self.fields = fields
    }

    /// Unique over the fleet and for ever: `evt_PARTITION_MILLISECONDS_SEQUENCE`.
    public var id: String { "evt_\(partition)_\(position.milliseconds)_\(position.sequence)" }

    /// What an id was made of; nil for anything else.
    public static func place(of id: String) -> (partition: Int, position: Position)? {
        let parts = id.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "evt", let partition = Int(parts[1]), partition >= 0,
            let milliseconds = UInt64(parts[2]), let sequence = UInt64(parts[3])
        else { return nil }
        return (partition, Position(milliseconds: milliseconds, sequence: sequence))
    }

    /// The value of a field; nil where it is absent or empty.
    public subscript(name: String) -> String? {
        guard let value = fields.first(where: { $0.name == name })?.value, !value.isEmpty else { return nil }
        return value
    }

    public var account: AccountID? { self["account"].flatMap { try? AccountID($0) } }
    public var provider: ProviderName? { self["provider"].flatMap { try? ProviderName($0) } }
}
