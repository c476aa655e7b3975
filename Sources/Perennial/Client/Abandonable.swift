/// Waits for `work`. When the caller is cancelled it goes on without the caller: a refresh that is under way has to land.
///
/// - Parameter abandoned: what becomes of a result that nobody takes any more.
/// - Throws: `CancellationError` at once when the caller is cancelled.
func abandonable<Result: Sendable>(
    abandoned: @escaping @Sendable (Result) async -> Void = { _ in }, _ work: @escaping @Sendable () async -> Result
) async throws -> Result {
    try Task.checkCancellation()
    let (results, continuation) = AsyncStream.makeStream(of: Result.self)
    // Not the caller's: neither its cancellation nor its end may reach the work.
    Task {
        let result = await work()
        let outcome = continuation.yield(result)
        continuation.finish()
        if case .terminated = outcome { await abandoned(result) }
    }
    for await result in results { return result }
    throw CancellationError()
}
