import RefreshCore

extension Abandonable {
    /// - Parameter late: what becomes of a result that nobody takes any more.
    /// - Throws: `CancellationError` at once when the caller is cancelled.
    static func value<Value: Sendable>(
        of work: @escaping @Sendable () async -> Value, late: @escaping @Sendable (Value) async -> Void = { _ in }
    ) async throws -> Value {
        try Task.checkCancellation()
        guard let value = await result(of: work, late: late) else { throw CancellationError() }
        return value
    }
}
