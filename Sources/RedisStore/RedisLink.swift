import NIOConcurrencyHelpers
import RedisClient
import RefreshCore
import Sealing

/// Keeps every part of the store from Redis until ``StoreMeta`` has found that this is the right store and the right
/// key: nothing is written before that.
public final class StoreGate: Sendable {
    private struct State {
        var obstacle: StoreError?
        var partitions: Int?
        /// Until when nothing is sent because the service takes no more commands, and what it said.
        var rest: (until: ContinuousClock.Instant, error: StoreError)?

        /// Why nothing may be sent now.
        var current: StoreError? {
            if let obstacle { return obstacle }
            guard let rest, ContinuousClock.now < rest.until else { return nil }
            return rest.error
        }
    }

    private let state: NIOLockedValueBox<State>

    /// - Parameter reason: what to tell whoever asks too early.
    public init(closedBecause reason: String = "Redis has not been reached yet") {
        state = NIOLockedValueBox(State(obstacle: StoreError(.unavailable, reason)))
    }

    /// - Parameter partitions: What the store says of itself.
    func open(partitions: Int) { state.withLockedValue { $0 = State(obstacle: nil, partitions: partitions) } }
    /// Sends nothing for a while, so that a service which takes no more commands is asked once a minute, not in a loop.
    func rest(_ error: StoreError) {
        state.withLockedValue { $0.rest = (ContinuousClock.now + Self.restTime, error) }
    }
    private static let restTime = Duration.seconds(60)
    public func close(_ error: StoreError) { state.withLockedValue { $0.obstacle = error } }
    /// Why the store cannot be used; nil once it can.
    public var reason: StoreError? { state.withLockedValue { $0.current } }
    /// How many partitions the store has; nil until that has been read.
    var partitions: Int? { state.withLockedValue { $0.partitions } }

    /// Lets through what opens the gate, but not while the service takes no commands.
    func checkRest() throws(StoreError) {
        let rest = state.withLockedValue { $0.rest }
        if let rest, ContinuousClock.now < rest.until { throw rest.error }
    }

    func check() throws(StoreError) {
        if let error = reason { throw error }
    }
}

/// What every part of the store works with: the client, the names of the keys, the sealing keys and the fleet's clock.
public struct RedisLink: Sendable {
    public let client: RedisClient
    private let ownKeys: Keys
    public let ring: KeyRing
    public let clock: FleetClock
    public let gate: StoreGate
    /// What has to be confirmed before a claim is used and before the journal forgets an answer.
    public let durability: Durability
    /// How long a confirmation is waited for; longer than zero.
    public let durabilityTimeout: Duration
    /// Whether a change of the server's replication id stops spending for a while: on, unless the server loses nothing.
    public let watchesFailover: Bool
    /// Whether each command is paid for (hosted services): what only adds speed or comfort is left out. The lock of an
    /// account is one of them: its open intent stands in for it, and generations guard what is written.
    public let isFrugal: Bool
    /// What has been away since the store was opened.
    public let outages = OutageWatch()

    /// - Parameter keys: Their number of partitions is that of a new store; a store that exists has its own.
    public init(
        client: RedisClient, keys: Keys, ring: KeyRing, clock: FleetClock, gate: StoreGate = StoreGate(),
        durability: Durability = .none, durabilityTimeout: Duration = .seconds(1), watchesFailover: Bool = true,
        isFrugal: Bool = false
    ) {
        self.durability = durability
        self.durabilityTimeout = durabilityTimeout
        self.watchesFailover = watchesFailover && !isFrugal
        self.isFrugal = isFrugal
        self.client = client
        ownKeys = keys
        self.ring = ring
        self.clock = clock
        self.gate = gate
    }

    /// With the number of partitions that the store has.
    public var keys: Keys {
        gate.partitions.map { Keys(prefix: ownKeys.prefix, partitions: $0) } ?? ownKeys
    }

    /// - Parameter timeout: nil: that of commands.
    func evaluate(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument], timeout: Duration? = nil
    ) async throws(StoreError) -> ScriptReply {
        try gate.check()
        let sentAt = clock.monotonic()
        do {
            let reply = try await client.evaluate(script, keys: keys, arguments: arguments, timeout: timeout)
            guard let fields = reply.array else { throw StoreError.malformed(script.name) }
            return ScriptReply(fields: fields, sentAt: sentAt)
        } catch let error as StoreError {
            throw error
        } catch let error as RedisError {
            throw failure(error, key: keys.first)
        } catch {
            throw StoreError(.unavailable, "Redis: \(script.name) failed")
        }
    }

    func send(_ command: RedisCommand, key: String?) async throws(StoreError) -> RESPValue {
        try gate.check()
        return try await sendUngated(command, key: key)
    }

    func sendUngated(_ command: RedisCommand, key: String?) async throws(StoreError) -> RESPValue {
        try gate.checkRest()
        do {
            return try await client.send(command, key: key)
        } catch {
            throw failure(error, key: key)
        }
    }

    func pipeline(_ commands: [RedisCommand], key: String?) async throws(StoreError) -> [RESPValue] {
        try gate.check()
        guard !commands.isEmpty else { return [] }
        let replies: [RESPValue]
        do {
            replies = try await client.pipeline(commands, key: key)
        } catch {
            throw failure(error, key: key)
        }
        for case .error(let error) in replies {
            guard !error.isOverQuota else { throw failure(RedisError(.server, "\(error)", serverError: error)) }
            throw StoreError(.refused, "Redis refused: \(error)")
        }
        return replies
    }

    /// What a failed command means for the store; every path to Redis asks here.
    func failure(_ error: RedisError, key: String? = nil) -> StoreError {
        let failure = StoreError(error)
        if error.serverError?.isOverQuota == true { gate.rest(failure) }
        // Before the store has been opened nobody relies on it.
        if gate.partitions != nil { outages.failed(failure, key: key, now: clock.monotonic()) }
        return failure
    }

    /// Asks the server for its time, where no other reply would carry it soon.
    func alignClock() async throws(StoreError) {
        let sentAt = clock.monotonic()
        guard let time = Self.time(try await sendUngated(RedisCommand("TIME"), key: keys.meta)) else {
            throw .malformed("TIME")
        }
        clock.align(to: time, sentAt: sentAt)
    }

    /// What `TIME` has answered.
    static func time(_ reply: RESPValue) -> WallTime? {
        guard let parts = reply.array, parts.count == 2, let seconds = parts[0].string.flatMap({ Int64($0) }),
            let micros = parts[1].string.flatMap({ Int64($0) })
        else { return nil }
        return WallTime(milliseconds: seconds * 1000 + micros / 1000)
    }

    /// Takes over the server's time from the field of a reply that carries it; nil where it carries none.
    func align(_ reply: ScriptReply, at index: Int) -> WallTime? {
        guard reply.fields.indices.contains(index), let milliseconds = reply[index].int else { return nil }
        let time = WallTime(milliseconds: milliseconds)
        clock.align(to: time, sentAt: reply.sentAt)
        return time
    }
}

extension StoreError {
    init(_ error: RedisError) {
        if let server = error.serverError, server.isOverQuota {
            self.init(.unavailable, "Redis takes no more commands, the quota is used up: \(server)")
            return
        }
        switch error.code {
        case .unavailable, .closed, .configuration, .misuse:
            self.init(.unavailable, "Redis is not available: \(error.message)")
        case .cancelled:
            self.init(error.mayHaveExecuted ? .outcomeUnknown : .cancelled, "the Redis command was cancelled")
        case .server where !error.mayHaveExecuted:
            // A Cluster or a Sentinel group that has no primary at present.
            self.init(.unavailable, "Redis is not available: \(error.message)")
        case .server:
            self.init(.refused, "Redis refused: \(error.message)")
        default:
            self.init(
                error.mayHaveExecuted ? .outcomeUnknown : .unavailable, "no reply from Redis: \(error.message)")
        }
    }

    init(_ error: SealingError) {
        self.init(.sealing, error.description)
    }

    static func malformed(_ what: String) -> StoreError {
        StoreError(
            .corrupt,
            "Redis answered \(what) in a form this version does not know: is another program using these keys?")
    }
}
