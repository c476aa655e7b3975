import Journal
import Providers
import RefreshCore

/// An answer that waits in a journal, as people may see it: whose it is, how old, and what it is worth. Holds no token.
struct JournalFinding: Encodable, Sendable, Hashable {
    enum Worth: String, Encodable, Sendable, Hashable {
        /// Holds tokens: an instance stores it by itself as soon as it can.
        case usable
        /// Holds no tokens by the provider's rules, or the provider is not configured here: a person has to look.
        case unusable
        /// The keys at hand do not open it, or a newer version wrote it.
        case unreadable
        /// In Redis, and kept here for a while in case a failover loses it there.
        case stored
    }

    var attempt: String
    /// Whose journal it is.
    var instance: String
    /// Whether a running process has that journal open: it looks after the entry.
    var held: Bool
    var worth: Worth
    /// What the worth rests on, in words.
    var reason: String
    var account: String?
    var provider: String?
    /// The generation that was spent for it.
    var generation: Int64?
    /// Whether it answers a re-send.
    var recovery: Bool?
    /// When the request was sent, RFC 3339.
    var requestedAt: String?
    /// Whole seconds since then.
    var age: Int64?

    init(_ item: JournalReport.Item, in report: JournalReport, catalog: ProviderCatalog, now: WallTime) {
        attempt = item.attempt.rawValue
        instance = report.instance
        held = report.isHeld
        switch item {
        case .unreadable(_, let reason):
            worth = .unreadable
            self.reason = reason
        case .entry(let entry):
            (worth, reason) = Self.judge(entry, catalog: catalog)
            account = entry.account.rawValue
            provider = entry.provider.rawValue
            generation = entry.generation.rawValue
            recovery = entry.isRecovery
            requestedAt = MachineClock.text(entry.response.requestedAt)
            age = max(0, (now - entry.response.requestedAt).wholeMilliseconds / 1000)
        }
    }

    private static func judge(_ entry: JournalEntry, catalog: ProviderCatalog) -> (Worth, String) {
        if entry.isStored { return (.stored, "in Redis; kept here for a while in case a failover loses it there") }
        return switch catalog.interpret(entry.response, provider: entry.provider) {
        case nil: (.unusable, "provider \(entry.provider) is not in this configuration")
        case .rotated(let grant):
            (
                .usable,
                "an access token until \(MachineClock.text(grant.expiresAt))"
                    + (grant.refreshToken == nil ? ", the refresh token stays" : " and a new refresh token")
            )
        case .refused(let reason), .misconfigured(let reason), .throttled(let reason, _), .ambiguous(let reason):
            (.unusable, reason)
        }
    }
}

extension JournalReport {
    func findings(catalog: ProviderCatalog, now: WallTime) -> [JournalFinding] {
        items.map { JournalFinding($0, in: self, catalog: catalog, now: now) }
    }
}

/// What is said of journals in more than one place.
enum JournalWords {
    /// Nothing will become of such answers by itself.
    static func unusable(_ count: Int, of instance: String) -> String {
        "the journal of instance \(instance) holds \(count) \(count == 1 ? "answer" : "answers") that cannot be stored: "
            + "see perennial journal list"
    }

    /// One warning for each journal that a person has to look at.
    static func warnings(_ reports: [JournalReport], catalog: ProviderCatalog, now: WallTime) -> [String] {
        reports.flatMap { report -> [String] in
            let count = report.findings(catalog: catalog, now: now).count {
                [.unusable, .unreadable].contains($0.worth)
            }
            return (count > 0 ? [unusable(count, of: report.instance)] : []) + damage(report)
        }
    }

    /// A write under way looks like a torn end: of a journal in use nothing is said.
    static func damage(_ report: JournalReport) -> [String] {
        guard !report.isHeld, report.tornBytes > 0 else { return [] }
        return ["the journal of instance \(report.instance) has \(report.tornBytes) bytes that cannot be read"]
    }
}
