import MockProvider

/// One line of the table: a double, and how an operator would set up Perennial for that provider.
struct TableRow: Sendable {
    /// As the table names it.
    var name: String
    var double: DoubleConfiguration
    /// The preset that it is configured with.
    var preset: String
    /// Settings besides preset, URL and client; a setting is a line of YAML.
    var settings: [String] = []
    /// What an account is made of where there is no refresh token.
    var credentials: @Sendable (DoubleGrant) -> [String: String]? = { _ in nil }
    /// Variations of a row differ in requests and good answers only; what is said of errors is the main row's part.
    var variationOf: String?

    var rotation: DoubleRotation { double.row.rotation }

    /// Stands in settings for the URL of the double, which is known when it runs.
    static let tokenURLMark = "TOKEN-URL"

    /// In the names of providers and accounts.
    var slug: String {
        String(name.map { ($0.isASCII && ($0.isLetter || $0.isNumber)) || "._-".contains($0) ? $0 : "-" })
    }

    /// Why a column says nothing about this provider; nil: it does. By what is known of the provider alone.
    func inapplicability(of column: Column) -> String? {
        switch column {
        case .refreshWorks, .expiryRead: return nil
        case .rotationKept, .omissionSurvived:
            return rotation == .none ? "there is no refresh token: each refresh is a new grant" : nil
        case .finalError where double.row == .clientCredentials:
            return "the client vouches for itself: it can be refused as a client only, which is a misconfiguration"
        case .finalError, .transientError, .throttle, .misconfiguration, .hostileAnswer:
            return variationOf.map { "the answers are those of the row \($0)" }
        }
    }
}
