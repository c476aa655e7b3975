/// The kinds of events that this version knows. A newer one may write others.
public enum EventType {
    public static let refreshed = "token.refreshed"

    public static let all = [
        // Of an account's tokens.
        refreshed, "token.refresh_failed", "token.refresh_recovered", "token.orphaned", "token.restored",
        "token.dropped",
        // Of an account.
        "account.added", "account.reauthorized", "account.paused", "account.resumed", "account.removed",
        "account.reauthorization_required", "account.grant_expiring",
        // Of a pool.
        "pool.exhausted", "pool.recovered",
        // Of a provider.
        "provider.misconfigured", "provider.recovered",
        // Of the fleet and its store.
        "store.degraded", "store.recovered", "store.command_budget", "leader.changed", "webhooks.lost",
    ]
}
