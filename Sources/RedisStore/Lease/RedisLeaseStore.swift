import NIOConcurrencyHelpers
import RedisClient
import RefreshCore

/// The scan lease in Redis.
public struct RedisLeaseStore: LeaseStore {
    let link: RedisLink
    /// The first bid finds out whether the lease is a leftover of this very instance.
    private let hasBid = NIOLockedValueBox(false)

    public init(link: RedisLink) {
        self.link = link
    }

    public func acquire(_ instance: InstanceID, ttl: Duration) async throws(StoreError) -> LeaseBid {
        if link.isFrugal, hasBid.withLockedValue({ $0 }) {
            // One command instead of three or more, nearly always.
            let key = link.keys.leader
            guard let left = try await link.send(RedisCommand("PTTL", key), key: key).int else {
                throw .malformed("the life of the lease")
            }
            if left != -2 { return .held(remaining: left < 0 ? ttl : .milliseconds(left)) }
        }
        let reply = try await link.evaluate(
            ScriptLibrary.leaseAcquire, keys: [link.keys.leader, link.keys.leaderEpoch],
            arguments: [instance.rawValue, ttl.wholeMilliseconds])
        guard reply.count == 2, let word = reply[0].string, let number = reply[1].int else {
            throw .malformed("the bid for the lease")
        }
        hasBid.withLockedValue { $0 = true }
        switch word {
        case "ACQUIRED": return .acquired(epoch: number)
        // A lease without a TTL was not written by us; look again after a whole one.
        case "HELD": return .held(remaining: number < 0 ? ttl : .milliseconds(number))
        default: throw .malformed("the bid for the lease")
        }
    }

    public func renew(_ instance: InstanceID, epoch: Int64, ttl: Duration) async throws(StoreError) -> Bool {
        if link.isFrugal, let isHeld = try await renewPlainly(instance, epoch: epoch, ttl: ttl) { return isHeld }
        return try await number(
            ScriptLibrary.leaseRenew, [instance.rawValue, epoch, ttl.wholeMilliseconds]) == 1
    }

    /// One command instead of three: reads the lease and prolongs it. Another's lease is prolonged as well then, which
    /// at worst makes its successor wait a little longer.
    ///
    /// - Returns: nil where the server does not know the command (before Redis 6.2).
    private func renewPlainly(_ instance: InstanceID, epoch: Int64, ttl: Duration) async throws(StoreError) -> Bool? {
        let key = link.keys.leader
        do {
            let holder = try await link.send(RedisCommand("GETEX", key, "PX", ttl.wholeMilliseconds), key: key)
            return holder.string == "\(instance.rawValue) \(epoch)"
        } catch  where error.code == .refused {
            return nil
        }
    }

    public func release(_ instance: InstanceID, epoch: Int64) async throws(StoreError) {
        _ = try await number(ScriptLibrary.leaseRelease, [instance.rawValue, epoch, link.keys.changes])
    }

    /// Who holds the lease, for `status`.
    public func holder() async throws(StoreError) -> (instance: String, epoch: Int64)? {
        let reply = try await link.send(RedisCommand("GET", link.keys.leader), key: link.keys.leader)
        guard let words = reply.string?.split(separator: " "), words.count == 2, let epoch = Int64(words[1]) else {
            return nil
        }
        return (String(words[0]), epoch)
    }

    private func number(
        _ script: RedisScript, _ arguments: [any RedisArgument]
    ) async throws(StoreError) -> Int64? {
        try link.gate.check()
        do {
            return try await link.client.evaluate(script, keys: [link.keys.leader], arguments: arguments).int
        } catch {
            throw link.failure(error)
        }
    }
}
