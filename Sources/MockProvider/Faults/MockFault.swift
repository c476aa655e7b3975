/// Something that goes wrong at the token endpoint, and how often.
///
/// "Before" means that the refresh token has not been looked at and stays as it was. "After" means that the provider
/// has rotated and the successor does not reach the caller.
public struct MockFault: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// An error status (500…599) before rotating.
        case errorBefore(status: Int)
        /// An error status (500…599) after rotating.
        case errorAfter(status: Int)
        /// Silence for this long, then 504. The token is not touched.
        case hangBefore(Duration)
        /// Rotates at once, is silent for this long and then answers normally.
        case hangAfter(Duration)
        /// Rotated; 200 with the full Content-Length, but the body is cut and the connection closed.
        case truncatedBody
        /// Rotated; 200 with an HTML page instead of JSON.
        case unparseable
        /// 429 with Retry-After in whole seconds, rounded up. The token is not touched.
        case throttle(retryAfter: Duration)
        /// `invalid_grant` although nothing is wrong with the token, which is not touched.
        case invalidGrant
        /// `invalid_client` although nothing is wrong with the client. The token is not touched.
        case invalidClient
        /// The connection is closed without an answer. The token is not touched.
        case dropConnectionBefore
        /// Rotated; the connection is closed without an answer.
        case dropConnectionAfter
    }

    public enum Frequency: Sendable, Hashable {
        /// Each token request meets the fault with this probability, 0…1.
        case probability(Double)
        /// The next this many token requests meet the fault, then no more.
        case next(Int)
    }

    public var kind: Kind
    public var frequency: Frequency
    /// Only requests that carry a refresh token of this account meet the fault; nil means all token requests.
    public var account: String?

    public init(_ kind: Kind, _ frequency: Frequency = .probability(1), account: String? = nil) {
        self.kind = kind
        self.frequency = frequency
        self.account = account
    }

    /// Refuses values out of range.
    ///
    /// - Throws: ``MockProviderError`` with code `invalidFault`.
    public func validate() throws(MockProviderError) {
        switch kind {
        case .errorBefore(let status), .errorAfter(let status):
            guard (500...599).contains(status) else {
                throw MockProviderError(
                    .invalidFault, "\(kind.name): the status must be between 500 and 599, not \(status)")
            }
        case .hangBefore(let duration), .hangAfter(let duration), .throttle(retryAfter: let duration):
            guard duration >= .zero, duration <= .seconds(86_400) else {
                throw MockProviderError(.invalidFault, "\(kind.name): the time must be between 0 and 24 hours")
            }
        case .truncatedBody, .unparseable, .invalidGrant, .invalidClient, .dropConnectionBefore,
            .dropConnectionAfter:
            break
        }
        switch frequency {
        case .probability(let probability):
            guard probability >= 0, probability <= 1 else {
                throw MockProviderError(
                    .invalidFault, "\(kind.name): the probability must be between 0 and 1, not \(probability)")
            }
        case .next(let count):
            guard (1...1_000_000_000).contains(count) else {
                throw MockProviderError(
                    .invalidFault, "\(kind.name): the count must be between 1 and 1,000,000,000, not \(count)")
            }
        }
        guard account != "" else {
            throw MockProviderError(.invalidFault, "\(kind.name): the account is empty: name one or leave it out")
        }
    }
}

extension MockFault.Kind {
    /// The name used in text, in JSON and, behind `fault:`, in the ledger.
    public var name: String {
        switch self {
        case .errorBefore: "error-before"
        case .errorAfter: "error-after"
        case .hangBefore: "hang-before"
        case .hangAfter: "hang-after"
        case .truncatedBody: "truncated"
        case .unparseable: "unparseable"
        case .throttle: "throttle"
        case .invalidGrant: "invalid-grant"
        case .invalidClient: "invalid-client"
        case .dropConnectionBefore: "drop-before"
        case .dropConnectionAfter: "drop-after"
        }
    }

    /// Whether the provider processes the request and rotates before the fault strikes.
    public var strikesAfterRotation: Bool {
        switch self {
        case .errorAfter, .hangAfter, .truncatedBody, .unparseable, .dropConnectionAfter: true
        case .errorBefore, .hangBefore, .throttle, .invalidGrant, .invalidClient, .dropConnectionBefore: false
        }
    }
}
