/// What is asked of each provider.
enum Column: String, Sendable, Hashable, CaseIterable, Encodable {
    case refreshWorks = "refresh works"
    case expiryRead = "expiry read right"
    case rotationKept = "rotation kept"
    case omissionSurvived = "omitted refresh token kept"
    case finalError = "final error → reauth_required once"
    case transientError = "transient error → retried"
    case throttle = "throttle → paused"
    case misconfiguration = "misconfiguration → accounts live"
    case hostileAnswer = "hostile answers → classed"

    /// Over a column of the table.
    var heading: String {
        switch self {
        case .refreshWorks: "refresh"
        case .expiryRead: "expiry"
        case .rotationKept: "rotation"
        case .omissionSurvived: "omitted"
        case .finalError: "final"
        case .transientError: "transient"
        case .throttle: "throttle"
        case .misconfiguration: "misconf."
        case .hostileAnswer: "hostile"
        }
    }

    /// In the names of providers and accounts.
    var slug: String { heading.filter { $0 != "." } }
}
