import Testing

@testable import CurlClient

/// Runs the body with a client that is shut down afterwards, whatever happens.
func withClient(
    _ configuration: CurlClientConfiguration = CurlClientConfiguration(),
    _ body: (CurlClient) async throws -> Void
) async throws {
    let client = CurlClient(configuration: configuration)
    do {
        try await body(client)
    } catch {
        await client.shutdown()
        throw error
    }
    await client.shutdown()
}

/// The same with a server as well.
func withServer(
    _ script: @escaping @Sendable (RawConnection) -> Void,
    configuration: CurlClientConfiguration = CurlClientConfiguration(),
    _ body: (CurlClient, RawServer) async throws -> Void
) async throws {
    let server = try RawServer(script)
    defer { server.stop() }
    try await withClient(configuration) { try await body($0, server) }
}

/// The error that the request ends with; a response is recorded as a failure of the test.
func failure(
    _ client: CurlClient, _ request: CurlRequest, sourceLocation: SourceLocation = #_sourceLocation
) async -> CurlError? {
    do {
        let response = try await client.execute(request)
        Issue.record("unexpected response: \(response)", sourceLocation: sourceLocation)
        return nil
    } catch {
        return error
    }
}

/// Waits until the condition holds; a failure of the test if it does not within ten seconds.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
        if ContinuousClock.now > deadline {
            Issue.record(what, sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// Answers every request of a connection with 200 and the bytes it brought.
@Sendable func echo(_ connection: RawConnection) {
    while let request = connection.readRequest() { connection.answer(body: request.body) }
}
