/// Why a log-in came to nothing. Holds no code and no token.
public struct LoginError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable {
        /// Somebody said no.
        case denied
        /// The provider refused the request, the code or the client.
        case refused
        /// An answer to another request: not this log-in's.
        case wrongState
        /// An answer of another issuer than the one that was asked.
        case wrongIssuer
        /// What came is no answer that makes sense.
        case malformed
        /// The time for it was over.
        case expired
        /// The provider could not be reached, or its answer was lost.
        case unreachable
        /// The provider gave no refresh token.
        case noRefreshToken
        /// The ID token is not one of this log-in.
        case idToken
    }

    public let code: Code
    public let description: String

    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
