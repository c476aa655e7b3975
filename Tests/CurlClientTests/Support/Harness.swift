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

extension CurlRequest {
    /// With limits that a busy machine does not come near.
    var patient: CurlRequest {
        var request = self
        request.connectTimeout = .seconds(300)
        request.totalTimeout = .seconds(600)
        return request
    }
}

/// Waits until the condition holds; a failure of the test if it does not within a minute.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
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

/// The error that opening a stream ends with; a stream is recorded as a failure of the test.
func openingFailure(
    _ client: CurlClient, _ request: CurlRequest, upload: CurlUpload? = nil,
    limits: CurlStreamLimits = CurlStreamLimits(), sourceLocation: SourceLocation = #_sourceLocation
) async -> CurlError? {
    do throws(CurlError) {
        let stream = try await client.open(request, upload: upload, limits: limits)
        Issue.record("unexpected stream: \(stream.head)", sourceLocation: sourceLocation)
        return nil
    } catch {
        return error
    }
}

extension CurlStream {
    /// All that is left of the body.
    func rest() async throws(CurlError) -> [UInt8] {
        var body: [UInt8] = []
        while let bytes = try await next() { body += bytes }
        return body
    }

    /// The error that the body ends with, and what came before it; a complete end is recorded as a failure of the test.
    func failure(
        sourceLocation: SourceLocation = #_sourceLocation
    ) async -> (error: CurlError?, body: [UInt8]) {
        var body: [UInt8] = []
        do throws(CurlError) {
            while let bytes = try await next() { body += bytes }
            Issue.record("the body ended as if complete after \(body.count) bytes", sourceLocation: sourceLocation)
            return (nil, body)
        } catch {
            return (error, body)
        }
    }
}
