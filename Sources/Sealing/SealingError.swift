/// A sealing key or a sealed value that cannot be used. Never holds key material or plaintext.
public struct SealingError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// No key of the ring made this seal.
        case unknownKey
        /// The value was changed, cut, or moved from where it was sealed.
        case broken
        /// The key file is missing, unreadable, or holds something else.
        case keyFile
    }

    public let code: Code
    public let description: String

    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
