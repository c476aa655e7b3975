import RedisClient
import RefreshCore

/// Writes that count only once replicas or the disk have them.
///
/// [`WAIT`](https://redis.io/docs/latest/commands/wait/) and
/// [`WAITAOF`](https://redis.io/docs/latest/commands/waitaof/) cover what their own connection has written, and block it:
/// script and wait run on a connection that nobody else uses.
extension RedisLink {
    /// Whether Redis has confirmed a write as the durability setting asks.
    enum Confirmation: Sendable {
        case given
        case missing(reason: String)

        func confirming(_ reply: CommitReply) -> CommitReply {
            if case .missing(let reason) = self { return .unconfirmed(reply, reason: reason) }
            return reply
        }
    }

    /// Runs a script, and where `writes` says that it has written, waits for the confirmation.
    ///
    /// A confirmation that fails to come is no error: the script has been carried out.
    func evaluateDurably(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument], writes: @Sendable ([RESPValue]) -> Bool
    ) async throws(StoreError) -> (reply: ScriptReply, confirmation: Confirmation) {
        guard let wait = durability.waitCommand(timeout: durabilityTimeout) else {
            return (try await evaluate(script, keys: keys, arguments: arguments), .given)
        }
        try gate.check()
        do {
            return try await client.withConnection(key: keys.first) { connection in
                let sentAt = clock.monotonic()
                let answer = try await connection.evaluate(script, keys: keys, arguments: arguments)
                guard let fields = answer.array else { throw StoreError.malformed(script.name) }
                let reply = ScriptReply(fields: fields, sentAt: sentAt)
                guard writes(fields) else { return (reply, .given) }
                do throws(RedisError) {
                    // Beyond the time that Redis itself is given: for the way there and back.
                    let answer = try await connection.send(wait, timeout: durabilityTimeout + .seconds(1))
                    return (reply, durability.confirmation(answer, timeout: durabilityTimeout))
                } catch {
                    return (reply, .missing(reason: durability.obstacle(error)))
                }
            }
        } catch let error as StoreError {
            throw error
        } catch let error as RedisError {
            throw failure(error, key: keys.first)
        } catch {
            throw StoreError(.unavailable, "Redis: \(script.name) failed")
        }
    }

    /// Makes sure that the server can confirm what the durability setting asks for.
    ///
    /// - Throws: ``StoreError`` saying what to change.
    func checkDurability() async throws(StoreError) {
        // No replica is asked for here: that one is missing now is no reason to stay away from the store.
        guard case .appendOnlyFile = durability, let wait = durability.waitCommand(timeout: .milliseconds(1)) else {
            return
        }
        do {
            _ = try await client.withConnection(key: keys.meta) { connection in try await connection.send(wait) }
        } catch let error as RedisError {
            guard error.code == .server else { throw failure(error) }
            throw StoreError(.refused, durability.obstacle(error))
        } catch {
            throw StoreError(.unavailable, "Redis: the durability setting could not be checked")
        }
    }
}

extension Durability {
    /// Nil where nothing is to be waited for.
    fileprivate func waitCommand(timeout: Duration) -> RedisCommand? {
        // Zero would wait for ever.
        let milliseconds = max(timeout.wholeMilliseconds, 1)
        switch self {
        case .none: return nil
        case .replicas(let count): return RedisCommand("WAIT", count, milliseconds)
        case .appendOnlyFile: return RedisCommand("WAITAOF", 1, 0, milliseconds)
        }
    }

    fileprivate func confirmation(_ answer: RESPValue, timeout: Duration) -> RedisLink.Confirmation {
        switch self {
        case .none: return .given
        case .replicas(let count):
            let confirmed = answer.int ?? 0
            if confirmed >= Int64(count) { return .given }
            return .missing(
                reason: "\(confirmed) of \(count) Redis replicas confirmed the write within \(timeout.inSeconds) s "
                    + "(redis.durability: \(self))")
        case .appendOnlyFile:
            if let local = answer.array?.first?.int, local >= 1 { return .given }
            return .missing(
                reason: "Redis did not have the write on its disk within \(timeout.inSeconds) s "
                    + "(redis.durability: \(self))")
        }
    }

    fileprivate func obstacle(_ error: RedisError) -> String {
        if self == .appendOnlyFile, error.code == .server {
            return "this Redis cannot confirm that a write is on its disk (\(error.message)): redis.durability: aof "
                + "needs Redis 7.2 or later with appendonly yes; choose none or replicas:N"
        }
        return "Redis did not confirm the write (redis.durability: \(self)): \(error.message)"
    }
}
