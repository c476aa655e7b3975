/// Why a token request is not served. What the client gets to see is the provider's own wording.
enum DoubleRefusal: Error, Sendable, Hashable {
    // The request itself is wrong.
    case notFound
    case wrongMethod
    case wrongContentType(String)
    case invalidRequest(String)
    case unsupportedGrant(String)
    case invalidScope(String)
    /// A header that the provider's own applications send is missing or wrong.
    case foreignApplication(String)

    // The client is wrong.
    case invalidClient(String)

    // What it presents is not, or no longer, good.
    case unknown
    case reused
    case revoked
    case invalidAssertion(String)
    case wrongPassword

    /// Whether the client that sent it has a fault, and not the account.
    var isMalformed: Bool {
        switch self {
        case .unknown, .reused, .revoked, .wrongPassword: false
        default: true
        }
    }

    /// For the ledger; never a secret.
    var words: String {
        switch self {
        case .notFound: "there is nothing at this path"
        case .wrongMethod: "it is no POST"
        case .wrongContentType(let type): "its Content-Type is \(type)"
        case .invalidRequest(let text), .invalidScope(let text), .invalidClient(let text),
            .foreignApplication(let text), .invalidAssertion(let text):
            text
        case .unsupportedGrant(let grant): "its grant_type is \(grant)"
        case .unknown: "what it presents was never issued"
        case .reused: "its refresh token has been used before"
        case .revoked: "what it presents has been revoked"
        case .wrongPassword: "the password is wrong"
        }
    }
}
