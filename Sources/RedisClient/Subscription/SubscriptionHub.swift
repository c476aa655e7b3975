import NIOConcurrencyHelpers

/// All subscriptions of the client over one connection, which is opened with the first of them.
final class SubscriptionHub: Sendable {
    private struct ChannelEntry {
        var subscribers: [Int: SubscriptionBuffer] = [:]
        /// SUBSCRIBE commands sent and not confirmed yet: a stale confirmation must not count for a newer request.
        var outstanding = 0
        var isConfirmed = false
    }

    private struct State {
        var channels: [String: ChannelEntry] = [:]
        var connection: RedisConnection?
        var nextID = 0
        var isClosed = false
        var demand: CheckedContinuation<Void, Never>?
    }

    private let state = NIOLockedValueBox(State())

    // MARK: subscribers

    func subscribe(to channels: [String], maxEvents: Int, maxBytes: Int) -> RedisSubscription {
        let channels = Array(Set(channels)).sorted()
        let (buffer, demand) = state.withLockedValue { state in
            let buffer = SubscriptionBuffer(
                id: state.nextID, channels: channels, maxEvents: maxEvents, maxBytes: maxBytes)
            state.nextID += 1
            guard !state.isClosed else {
                buffer.finish()
                return (buffer, CheckedContinuation<Void, Never>?.none)
            }
            var wanted: [String] = []
            for channel in channels {
                var entry = state.channels[channel] ?? ChannelEntry()
                if entry.isConfirmed {
                    buffer.subscribed(channel)
                } else if entry.subscribers.isEmpty {
                    wanted.append(channel)
                }
                entry.subscribers[buffer.id] = buffer
                state.channels[channel] = entry
            }
            // Sent under the lock, so that SUBSCRIBE and UNSUBSCRIBE reach the server in the order decided here.
            Self.requestSubscription(to: wanted, &state)
            defer { state.demand = nil }
            return (buffer, state.demand)
        }
        demand?.resume()
        return RedisSubscription(buffer: buffer) { [self] in unsubscribe($0) }
    }

    private func unsubscribe(_ buffer: SubscriptionBuffer) {
        state.withLockedValue { state in
            var unwanted: [String] = []
            for channel in buffer.channels {
                guard var entry = state.channels[channel], entry.subscribers.removeValue(forKey: buffer.id) != nil
                else { continue }
                if entry.subscribers.isEmpty {
                    entry.isConfirmed = false
                    unwanted.append(channel)
                }
                state.channels[channel] = entry
            }
            guard let connection = state.connection else {
                for channel in unwanted { state.channels[channel] = nil }
                return
            }
            if !unwanted.isEmpty { Self.post("UNSUBSCRIBE", unwanted, on: connection) }
        }
    }

    private static func requestSubscription(to channels: [String], _ state: inout State) {
        guard !channels.isEmpty, let connection = state.connection else { return }
        for channel in channels { state.channels[channel]?.outstanding += 1 }
        post("SUBSCRIBE", channels, on: connection)
    }

    private static func post(_ name: String, _ channels: [String], on connection: RedisConnection) {
        do throws(RedisError) {
            try connection.post(RedisCommand(name, arguments: channels))
        } catch {
            connection.close(error)
        }
    }

    // MARK: connection

    /// Returns when somebody wants to subscribe, or when the task is cancelled.
    func waitForDemand() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isWanted = state.withLockedValue { state in
                    if !state.channels.isEmpty || Task.isCancelled { return true }
                    state.demand = continuation
                    return false
                }
                if isWanted { continuation.resume() }
            }
        } onCancel: {
            let demand = state.withLockedValue { state in
                defer { state.demand = nil }
                return state.demand
            }
            demand?.resume()
        }
    }

    /// Takes over a new connection: subscribes to everything wanted, and watches for its end.
    func adopt(_ connection: RedisConnection) async throws(RedisError) {
        try await connection.enterSubscriberMode { [self] value in received(value, from: connection) }
        state.withLockedValue { state in
            state.connection = connection
            Self.requestSubscription(to: state.channels.keys.sorted(), &state)
        }
    }

    /// The connection has ended, whatever the reason.
    func abandon() {
        state.withLockedValue { state in
            state.connection = nil
            for (channel, entry) in state.channels {
                for buffer in entry.subscribers.values { buffer.disconnected() }
                let isWanted = !entry.subscribers.isEmpty
                state.channels[channel] = isWanted ? ChannelEntry(subscribers: entry.subscribers) : nil
            }
        }
    }

    /// Every sequence ends.
    func close() {
        let buffers = state.withLockedValue { state in
            state.isClosed = true
            state.connection = nil
            defer { state.channels = [:] }
            return state.channels.values.flatMap(\.subscribers.values)
        }
        for buffer in buffers { buffer.finish() }
    }

    private func received(_ value: RESPValue, from connection: RedisConnection) {
        switch value {
        case .simpleString:
            // The PONG of a connection without subscriptions.
            return
        case .error(let error):
            connection.close(
                RedisError(
                    .unavailable, "Redis refused a subscription (server: \(error)). Check the user's channel rights.",
                    serverError: error))
        case .array(let parts) where parts.count >= 2:
            handle(kind: parts[0].string ?? "", parts, from: connection)
        default:
            violation(connection)
        }
    }

    private func handle(kind: String, _ parts: [RESPValue], from connection: RedisConnection) {
        switch kind {
        case "message":
            guard parts.count == 3, let channel = parts[1].string, let payload = parts[2].bytes else {
                return violation(connection)
            }
            state.withLockedValue { state in
                guard let entry = state.channels[channel], entry.isConfirmed else { return }
                for buffer in entry.subscribers.values { buffer.message(payload, on: channel) }
            }
        case "subscribe":
            guard let channel = parts[1].string else { return violation(connection) }
            state.withLockedValue { state in
                guard state.connection === connection, var entry = state.channels[channel] else { return }
                entry.outstanding -= 1
                if entry.outstanding <= 0, !entry.subscribers.isEmpty {
                    entry.isConfirmed = true
                    for buffer in entry.subscribers.values { buffer.subscribed(channel) }
                }
                state.channels[channel] = entry
            }
        case "unsubscribe":
            guard let channel = parts[1].string else { return }
            state.withLockedValue { state in
                guard let entry = state.channels[channel], entry.subscribers.isEmpty, entry.outstanding <= 0 else {
                    return
                }
                state.channels[channel] = nil
            }
        case "pong":
            return
        default:
            violation(connection)
        }
    }

    private func violation(_ connection: RedisConnection) {
        connection.close(
            RedisError(
                .protocolViolation,
                "The peer sent something else than pub/sub messages on the subscription connection; it is closed."))
    }
}
