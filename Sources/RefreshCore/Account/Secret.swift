/// A string that must never be shown: a refresh token, an access token, a password, a client secret.
///
/// Printing, interpolating, dumping or reflecting a `Secret` yields only "set" or "not set". The one way to the
/// value is ``reveal()``, so every use of a plaintext secret can be found by searching for that word.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: String

    public init(_ value: String) {
        self.value = value
    }

    /// The plaintext. Never pass the result to a log, an error, a metric or a command line.
    public func reveal() -> String { value }

    public var isEmpty: Bool { value.isEmpty }

    public var description: String { value.isEmpty ? "not set" : "set" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
