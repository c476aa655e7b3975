/// Why a program for a test could not be started, used or stopped.
public struct ServerFailure: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
