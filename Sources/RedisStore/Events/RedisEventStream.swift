import RedisClient
import RefreshCore

/// Reads the streams of events ([XRANGE](https://redis.io/docs/latest/commands/xrange/)).
public struct RedisEventStream: EventStream {
    let link: RedisLink

    public init(link: RedisLink) {
        self.link = link
    }

    public var partitions: Int { link.keys.partitions }

    public func read(
        _ partition: Int, after position: FleetEvent.Position, limit: Int
    ) async throws(StoreError) -> EventPage {
        let key = link.keys.events(partition)
        // From the one that is known: where it is still there, nothing behind it has been cut.
        let reply = try await link.send(
            RedisCommand("XRANGE", key, position.description, "+", "COUNT", limit + 1), key: key)
        guard let entries = reply.array else { throw .malformed("the stream of events") }
        var events: [FleetEvent] = []
        for entry in entries { events.append(try Self.event(entry, of: partition)) }
        let isKnown = events.first?.position == position
        if isKnown { events.removeFirst() }
        return EventPage(
            events: Array(events.prefix(limit)), mayHaveGap: !isKnown && !entries.isEmpty,
            isLast: entries.count <= limit)
    }

    public func read(
        _ partition: Int, at positions: [FleetEvent.Position]
    ) async throws(StoreError) -> [FleetEvent] {
        let key = link.keys.events(partition)
        let replies = try await link.pipeline(
            positions.map { RedisCommand("XRANGE", key, $0.description, $0.description) }, key: key)
        var events: [FleetEvent] = []
        for reply in replies {
            guard let entries = reply.array else { throw .malformed("the stream of events") }
            for entry in entries { events.append(try Self.event(entry, of: partition)) }
        }
        return events
    }

    public func extent(_ partition: Int) async throws(StoreError) -> EventStreamExtent {
        let key = link.keys.events(partition)
        let reply: RESPValue
        do {
            reply = try await link.send(RedisCommand("XINFO", "STREAM", key), key: key)
        } catch  where error.code == .refused {
            // No stream yet, or a service that does not know the command.
            if error.message.contains("no such key") { return EventStreamExtent(last: .start, length: 0, appended: 0) }
            return try await extentWithoutCount(key)
        }
        guard let pairs = reply.array, pairs.count.isMultiple(of: 2) else { throw .malformed("XINFO STREAM") }
        var values: [String: RESPValue] = [:]
        for index in stride(from: 0, to: pairs.count, by: 2) {
            if let name = pairs[index].string { values[name] = pairs[index + 1] }
        }
        guard let length = values["length"]?.int,
            let last = values["last-generated-id"]?.string.flatMap({ FleetEvent.Position($0) })
        else { throw .malformed("XINFO STREAM") }
        return EventStreamExtent(
            last: last, length: Int(length), appended: values["entries-added"]?.int.map { Int($0) })
    }

    private func extentWithoutCount(_ key: String) async throws(StoreError) -> EventStreamExtent {
        let replies = try await link.pipeline(
            [RedisCommand("XREVRANGE", key, "+", "-", "COUNT", 1), RedisCommand("XLEN", key)], key: key)
        guard replies.count == 2, let newest = replies[0].array, let length = replies[1].int else {
            throw .malformed("the stream of events")
        }
        let last = newest.first?.array?.first?.string.flatMap { FleetEvent.Position($0) } ?? .start
        return EventStreamExtent(last: last, length: Int(length), appended: nil)
    }

    static func event(_ entry: RESPValue, of partition: Int) throws(StoreError) -> FleetEvent {
        guard let parts = entry.array, parts.count == 2,
            let position = parts[0].string.flatMap({ FleetEvent.Position($0) }), let values = parts[1].array,
            values.count.isMultiple(of: 2)
        else { throw .malformed("an event") }
        var (at, type): (Int64?, String?)
        var fields: [FleetEvent.Field] = []
        for index in stride(from: 0, to: values.count, by: 2) {
            guard let name = values[index].string else { throw .malformed("an event") }
            switch name {
            case "at": at = values[index + 1].int ?? values[index + 1].string.flatMap { Int64($0) }
            case "type": type = values[index + 1].string
            default: fields.append(FleetEvent.Field(name, values[index + 1].string ?? ""))
            }
        }
        // What has no type is none of ours, and must not stop what comes after it.
        return FleetEvent(
            partition: partition, position: position,
            at: WallTime(milliseconds: at ?? Int64(clamping: position.milliseconds)), type: type ?? "unknown",
            fields: fields)
    }
}
