/// Some events of one partition, in order.
public struct EventPage: Sendable, Hashable {
    public var events: [FleetEvent]
    /// Whether the event that was read up to has been cut off at the stream's old end since, and others behind it may
    /// have been too.
    public var mayHaveGap: Bool
    /// Whether the stream has no more now.
    public var isLast: Bool

    public init(events: [FleetEvent], mayHaveGap: Bool, isLast: Bool) {
        self.events = events
        self.mayHaveGap = mayHaveGap
        self.isLast = isLast
    }
}

/// How long a partition's stream is, and how much has ever been in it.
public struct EventStreamExtent: Sendable, Hashable {
    /// The newest event that was ever in it.
    public var last: FleetEvent.Position
    /// Events in it now.
    public var length: Int
    /// Events that were ever appended; nil where the server does not count them (Redis before 7.0).
    public var appended: Int?

    public init(last: FleetEvent.Position, length: Int, appended: Int?) {
        self.last = last
        self.length = length
        self.appended = appended
    }

    /// Events that have been cut off.
    public var cut: Int? { appended.map { max(0, $0 - length) } }
}

/// The events of the fleet, one capped stream a partition.
public protocol EventStream: Sendable {
    var partitions: Int { get }
    /// Up to `limit` events after `position`.
    func read(
        _ partition: Int, after position: FleetEvent.Position, limit: Int
    ) async throws(StoreError) -> EventPage
    /// Those of `positions` that are still there.
    func read(_ partition: Int, at positions: [FleetEvent.Position]) async throws(StoreError) -> [FleetEvent]
    func extent(_ partition: Int) async throws(StoreError) -> EventStreamExtent
}
