/// Leases of calls that take longer than a lease lasts.
extension PoolDesk {
    public func keep(_ lease: PoolLease) async {
        guard lease.holdsSlot, let ttl = settings[lease.pool]?.leaseTTL else { return }
        while (try? await time.sleep(for: ttl / 3)) != nil {
            do throws(StoreError) {
                guard try await slots.renew(lease.attempt, of: lease.account, in: lease.pool, ttl: ttl) else { return }
            } catch {
                tell(outage: error, "a lease is not renewed")
            }
        }
    }
}
