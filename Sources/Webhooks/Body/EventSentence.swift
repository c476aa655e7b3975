import RefreshCore

/// What happened, in one sentence for people.
public enum EventSentence {
    public enum Severity: String, Sendable, Hashable {
        case info, warning, critical
    }

    public static func severity(of type: String) -> Severity {
        switch type {
        case "account.reauthorization_required", "provider.misconfigured", "pool.exhausted", "token.orphaned": .critical
        case "token.refresh_failed", "account.grant_expiring", "store.degraded", "store.command_budget",
            "webhooks.lost":
            .warning
        default: .info
        }
    }

    public static func text(_ event: FleetEvent) -> String {
        let account = "account \(event["account"] ?? "?")" + (event["provider"].map { " (\($0))" } ?? "")
        let provider = "provider \(event["provider"] ?? "?")"
        let pool = "pool \(event["pool"] ?? "?")"
        let cause = (event["message"] ?? event["cause"]).map { ": \($0)" } ?? ""
        let generation = event["generation"].map { ", generation \($0)" } ?? ""
        switch event.type {
        case EventType.refreshed: return "The token of \(account) was refreshed\(generation)."
        case "token.refresh_failed": return "Refreshing \(account) fails\(cause)"
        case "token.refresh_recovered": return "Refreshing \(account) works again\(generation)."
        case "token.orphaned":
            return "A token response for \(account) came too late and is kept as an orphan: see perennial accounts "
                + "orphans \(event["account"] ?? "ID")"
        case "token.restored": return "An orphan was made the newest token of \(account)\(generation)."
        case "token.dropped": return "An orphan of \(account) was thrown away."
        case "account.added": return "The \(account) was added."
        case "account.reauthorized": return "The \(account) has new credentials\(generation)."
        case "account.paused": return "The \(account) was paused."
        case "account.resumed": return "The \(account) was resumed."
        case "account.removed": return "The \(account) was removed."
        case "account.reauthorization_required":
            return "Somebody has to log in again, or to put new credentials: \(account)\(cause)"
        case "account.grant_expiring":
            let end = time(event["expires_at"]).map { " on \($0)" } ?? " soon"
            return "The grant of \(account) ends\(end): log in again before."
        case "pool.exhausted": return "The \(pool) has no account left\(cause)"
        case "pool.recovered": return "The \(pool) has accounts again."
        case "provider.misconfigured":
            return "The configuration of \(provider) is at fault, its accounts are not refreshed\(cause)"
        case "provider.recovered": return "The \(provider) works again."
        case "store.degraded": return "Redis went away\(time(event["since"]).map { " at \($0)" } ?? "")\(cause)"
        case "store.recovered":
            return "Redis is back; it was away from \(time(event["since"]) ?? "?") to \(time(event["until"]) ?? "?")."
        case "store.command_budget":
            return "The fleet is on its way to \(event["forecast"] ?? "?") Redis commands a day, and the budget is "
                + "\(event["budget"] ?? "?")."
        case "leader.changed":
            return "The instance \(event["instance"] ?? "?") leads now\(event["epoch"].map { ", epoch \($0)" } ?? "")."
        case "webhooks.lost":
            return
                "The webhook endpoint \(event["endpoint"] ?? "?") has missed \(event["count"] ?? "some") events: they "
                + "were cut from the stream before they could be delivered."
        default:
            let about = [event["account"], event["provider"], event["pool"]].compactMap { $0 }.joined(separator: ", ")
            return event.type + (about.isEmpty ? "" : " (\(about))") + cause
        }
    }

    private static func time(_ text: String?) -> String? {
        text.flatMap { Int64($0) }.map { EventDocument.text(WallTime(milliseconds: $0)) }
    }
}
