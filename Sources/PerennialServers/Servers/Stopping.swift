/// Runs `body` with servers that have been started, and stops them whatever happens.
func stopping<Servers: Sendable, Result: Sendable>(
    _ servers: Servers, isolation: isolated (any Actor)?, by stop: (Servers) async -> Void,
    after body: (Servers) async throws -> Result
) async throws -> Result {
    do {
        let result = try await body(servers)
        await stop(servers)
        return result
    } catch {
        await stop(servers)
        throw error
    }
}
