import RefreshCore

/// How far an endpoint has got with the stream of one partition. Every event up to `read` is settled, that is delivered,
/// not wanted or a dead letter, except those in `open`.
public struct DeliveryProgress: Sendable, Hashable, Codable {
    /// An event that has been read and is not settled.
    public struct Open: Sendable, Hashable, Codable {
        public var position: FleetEvent.Position
        public var tries: Int
        /// When to try again, in milliseconds since 1970 on the fleet's clock; nil: not tried yet.
        public var nextTry: Int64?

        public init(position: FleetEvent.Position, tries: Int = 0, nextTry: Int64? = nil) {
            self.position = position
            self.tries = tries
            self.nextTry = nextTry
        }
    }

    public var read: FleetEvent.Position
    /// How many events had been appended to the stream when the one at `read` was; nil where the server does not count.
    public var ordinal: Int?
    public var open: [Open]

    public init(read: FleetEvent.Position, ordinal: Int? = nil, open: [Open] = []) {
        self.read = read
        self.ordinal = ordinal
        self.open = open
    }
}

/// How an endpoint fares, for people, and what outlives a leader.
public struct DeliveryStatus: Sendable, Hashable, Codable {
    /// In milliseconds since 1970 on the fleet's clock.
    public var lastSuccess: Int64?
    public var lastError: String?
    public var lastErrorAt: Int64?
    public var delivered = 0
    public var deadLetters = 0
    /// Events that were cut from the stream before they were read.
    public var lost = 0
    /// The fingerprint of the configuration with which the receiver said that it is gone.
    public var goneWith: String?

    public init() {}
}

/// An event that an endpoint did not take.
public struct DeadLetter: Sendable, Hashable {
    /// Where it lies: `PARTITION-MILLISECONDS-SEQUENCE`, unique in the fleet.
    public var id: String
    public var endpoint: String
    public var event: FleetEvent
    public var reason: String
    public var tries: Int
    /// When it was given up.
    public var at: WallTime

    public init(id: String, endpoint: String, event: FleetEvent, reason: String, tries: Int, at: WallTime) {
        self.id = id
        self.endpoint = endpoint
        self.event = event
        self.reason = reason
        self.tries = tries
        self.at = at
    }
}

/// Where the state of deliveries is kept over restarts and changes of the leader.
public protocol DeliveryStore: Sendable {
    /// By endpoint, whether it is configured or not.
    func progress(_ partition: Int) async throws(StoreError) -> [String: DeliveryProgress]
    func statuses() async throws(StoreError) -> [String: DeliveryStatus]
    /// Writes both in as few commands as possible; the statuses belong to partition 0.
    func save(
        _ partition: Int, progress: [String: DeliveryProgress], statuses: [String: DeliveryStatus]
    ) async throws(StoreError)
    /// Forgets an endpoint: should it come back, it begins anew.
    func forget(_ endpoint: String) async throws(StoreError)

    func bury(_ letter: DeadLetter) async throws(StoreError)
    /// The oldest first; at most `limit` of each partition.
    func deadLetters(limit: Int) async throws(StoreError) -> [DeadLetter]
    /// False where it is not there any more.
    func drop(_ id: String) async throws(StoreError) -> Bool
}
