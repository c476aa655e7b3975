import CurlClient
import Providers
import RefreshCore
import Testing

struct TokenEndpointClientTests {
    private func definition(port: UInt16) throws -> ProviderDefinition {
        ProviderDefinition(
            name: try name("p"), tokenURL: "http://127.0.0.1:\(port)/token", clientID: "id", clientSecret: Secret("s"))
    }

    /// One exchange over libcurl.
    private func exchange(
        _ definition: ProviderDefinition, refreshToken: String = "refresh-1", sendBy: Duration = .seconds(60),
        deadline: Duration = .seconds(60)
    ) async throws -> (ExchangeResult, TokenEndpointClient) {
        let curl = CurlClient()
        let time = FleetClock(initialWall: requestedAt)
        let client = TokenEndpointClient(catalog: ProviderCatalog([definition]), transport: curl, time: time)
        let now = time.monotonic()
        let result = await client.spend(
            try claim(provider: definition.name, refreshToken: refreshToken), policy: definition.refreshPolicy,
            sendBy: now + sendBy, deadline: now + deadline)
        await curl.shutdown()
        return (result, client)
    }

    @Test func `a rotation over the wire`() async throws {
        let body = #"{"access_token":"new-access","refresh_token":"new-refresh","expires_in":60}"#
        let server = try LoopbackServer(
            .bytes("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nX-A: b\r\n\r\n\(body)"))
        defer { server.stop() }
        let (result, client) = try await exchange(definition(port: server.port))
        guard case .answered(let response) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(response.status == 200)
        #expect(response.header("x-a") == "b")
        #expect(response.requestedAt >= requestedAt && response.requestedAt < requestedAt + .seconds(60))
        let grant = try #require(client.interpret(response, provider: try name("p")).grant)
        #expect(grant.refreshToken == Secret("new-refresh"))
        #expect(grant.expiresAt == response.requestedAt + .seconds(60))
        let request = try #require(server.received.first)
        #expect(request.hasPrefix("POST /token HTTP/1.1\r\n"))
        #expect(request.contains("Authorization: Basic aWQ6cw==\r\n"))
        #expect(request.hasSuffix("\r\n\r\ngrant_type=refresh_token&refresh_token=refresh-1"))
        #expect(server.received.count == 1)
    }

    @Test func `an error that quotes the refresh token loses it`() async throws {
        let body = #"{"error":"invalid_grant","error_description":"no such token: r/+f=7 or r\/+f=7 or r%2F%2Bf%3D7"}"#
        let server = try LoopbackServer(
            .bytes("HTTP/1.1 400 Bad Request\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"))
        defer { server.stop() }
        let (result, client) = try await exchange(definition(port: server.port), refreshToken: "r/+f=7")
        guard case .answered(let response) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(
            client.interpret(response, provider: try name("p"))
                == .refused("HTTP 400 invalid_grant: no such token: *** or *** or ***"))
    }

    @Test func `nobody there: unsent`() async throws {
        let server = try LoopbackServer(.hangUp)
        server.stop()
        let (result, _) = try await exchange(definition(port: server.port))
        guard case .unreachable(let message) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(!message.isEmpty)
        #expect(!message.contains("refresh-1"))
    }

    @Test func `too late: unsent, and the server hears nothing`() async throws {
        let server = try LoopbackServer(.bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        defer { server.stop() }
        let (result, _) = try await exchange(definition(port: server.port), sendBy: .milliseconds(-1))
        guard case .unsent = result else {
            Issue.record("\(result)")
            return
        }
        let (late, _) = try await exchange(definition(port: server.port), deadline: .milliseconds(-1))
        guard case .unsent = late else {
            Issue.record("\(late)")
            return
        }
        #expect(!server.received.contains { $0.contains("refresh-1") })
    }

    @Test(arguments: [
        LoopbackServer.Answer.hangUp, .silence, .bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access"),
        .bytes("nonsense\r\n\r\n"),
        .bytes("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + String(repeating: "x", count: 2_000_000)),
    ])
    func `no whole answer: unanswered`(answer: LoopbackServer.Answer) async throws {
        let server = try LoopbackServer(answer)
        defer { server.stop() }
        var deadline = Duration.seconds(60)
        if case .silence = answer { deadline = .milliseconds(500) }
        var (result, _) = try await exchange(definition(port: server.port), deadline: deadline)
        // A busy machine may not get around to sending it by then.
        while result.isUnsent, deadline < .seconds(60) {
            deadline *= 2
            (result, _) = try await exchange(definition(port: server.port), deadline: deadline)
        }
        guard case .unanswered(let message) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(!message.contains("refresh-1"))
        // Nor to reading it.
        func sent() -> Int { server.received.count { $0.contains("refresh-1") } }
        let latest = ContinuousClock.now + .seconds(60)
        while sent() == 0, ContinuousClock.now < latest { try await Task.sleep(for: .milliseconds(2)) }
        #expect(sent() == 1)
    }

    @Test(arguments: [true, false])
    func `the transport's word on what was sent decides`(unsent: Bool) async throws {
        let definition = try definition(port: 1)
        let error = CurlError(code: .tls, unsent: unsent, message: "broken")
        let client = TokenEndpointClient(
            catalog: ProviderCatalog([definition]), transport: RecordingTransport(.failure(error)), time: FixedTime())
        let now = FixedTime().monotonic()
        let result = await client.spend(
            try claim(provider: definition.name, refreshToken: "r"), policy: definition.refreshPolicy,
            sendBy: now + .seconds(1), deadline: now + .seconds(2))
        switch result {
        case .unreachable(let message): #expect(unsent && message == "broken")
        case .unsent: Issue.record("not the transport's word")
        case .unanswered(let message): #expect(!unsent && message == "broken")
        case .answered: Issue.record("answered")
        }
    }

    @Test func `an unknown provider is not asked`() async throws {
        let transport = RecordingTransport(.success(CurlResponse(status: 200)))
        let client = TokenEndpointClient(catalog: ProviderCatalog(), transport: transport, time: FixedTime())
        let provider = try name("gone")
        let now = FixedTime().monotonic()
        let result = await client.spend(
            try claim(provider: provider, refreshToken: "r"), policy: RefreshPolicy(provider: provider),
            sendBy: now + .seconds(1), deadline: now + .seconds(2))
        guard case .unsent(let message) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(message.contains("gone"))
        #expect(transport.request == nil)
    }
}

extension ExchangeResult {
    fileprivate var isUnsent: Bool {
        switch self {
        case .unsent, .unreachable: true
        case .unanswered, .answered: false
        }
    }
}
