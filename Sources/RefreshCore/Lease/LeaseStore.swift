/// The answer to a bid for the scan lease.
public enum LeaseBid: Sendable, Hashable {
    case acquired(epoch: Int64)
    /// Somebody holds it; it ends after `remaining` unless renewed.
    case held(remaining: Duration)
}

/// The scan lease in the store: a key with a TTL and an epoch that grows with every reign.
public protocol LeaseStore: Sendable {
    func acquire(_ instance: InstanceID, ttl: Duration) async throws(StoreError) -> LeaseBid
    /// False when the lease is no longer this instance's in this epoch.
    func renew(_ instance: InstanceID, epoch: Int64, ttl: Duration) async throws(StoreError) -> Bool
    /// Frees the lease if it is still this instance's, and tells the fleet so.
    func release(_ instance: InstanceID, epoch: Int64) async throws(StoreError)
}
