import HummingbirdCore
import Logging
import ServiceLifecycle

/// An identity provider with a protected resource, for demonstrations, tests and benchmarks. Never for real accounts.
///
/// | path | does |
/// |---|---|
/// | `POST /oauth2/token` | RFC 6749 §6 `refresh_token`, §4.4 `client_credentials`, §4.1.3 `authorization_code` (RFC 7636), RFC 8628 `device_code`; form or JSON |
/// | `GET /authorize` | RFC 6749 §4.1.1, with PKCE; see ``AuthorizationEndpoint`` |
/// | `GET /code` | shows the code that comes with it, as `code#state` |
/// | `POST /device/code`, `GET`, `POST /device` | RFC 8628 |
/// | `GET /resource` | answers the account of a valid bearer token, else 401 (RFC 6750 §3) |
/// | `/echo`, `/events`, `/chunked`, `/trailers`, `/drip`, `/hold`, `/never`, `/stall`, `/cut` | the same check, and what ``ProviderDouble`` says of them |
/// | `GET /ledger` | ``MockTotals``; with `detail=1` also every use, bounded by `after` (a sequence number) and `limit` |
/// | `POST /admin/accounts` | `{"count", "prefix", "first", "lifetime", "expired", "provider"}` → JSON lines to import |
/// | `GET`, `PUT`, `DELETE /admin/faults` | the faults in force, as a list of ``MockFault`` |
/// | `POST /admin/revoke` | `{"account"}`: ends every grant of an account |
/// | `PUT`, `DELETE /admin/quota` | `{"calls", "refill"}`: each account's calls until a 429 with Retry-After, and the seconds from then until there are as many again |
/// | `GET /admin/calls` | whose token the last calls carried, when, and the status; `after` a sequence number |
/// | `GET /livez` | 200 |
public final class MockProviderServer: Service, Sendable {
    /// Larger request bodies are answered 413.
    public static let maximumBodySize = MockHTTP.maximumBodySize

    private let configuration: MockProviderConfiguration
    private let logger: Logger
    private let endpoints: MockEndpoints
    private let listening = ListeningGate()

    public init(configuration: MockProviderConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        self.endpoints = MockEndpoints(configuration: configuration)
    }

    /// Serves until graceful shutdown or cancellation. Runs once.
    ///
    /// - Throws: ``MockProviderError`` if the configuration is invalid, the address cannot be bound or the server has
    ///   run before.
    public func run() async throws {
        guard listening.begin() else {
            throw MockProviderError(.stopped, "a mock provider runs once: make a new one to start again")
        }
        do {
            try configuration.validate()
            try await serve()
        } catch {
            let failure =
                error as? MockProviderError
                ?? MockProviderError(
                    .listenFailed, "cannot listen on \(address): choose another address or a free port",
                    underlying: error)
            listening.end(failure)
            throw failure
        }
        listening.end(MockProviderError(.stopped, "the mock provider has stopped"))
    }

    private var address: String {
        configuration.unixSocket.map { "unix:\($0)" } ?? "\(configuration.host):\(configuration.port)"
    }

    private func serve() async throws {
        let endpoints = endpoints
        let server = try MockHTTP.server(
            at: configuration.unixSocket.map { .unixDomainSocket(path: $0) }
                ?? .hostname(configuration.host, port: configuration.port),
            logger: logger, gate: listening, bodyUse: DoubleCall.bodyUse
        ) { endpoints.answer($0) }
        // A Unix socket's file goes away with its channel.
        try await server.run()
    }

    // MARK: Observing and steering

    /// The TCP port it listens on; nil before it does, 0 on a Unix socket.
    public var port: Int? { listening.port }

    /// Waits until connections are accepted and answers the TCP port, 0 on a Unix socket.
    ///
    /// - Throws: ``MockProviderError`` if the server failed to start or has stopped; `CancellationError`.
    public func waitUntilListening() async throws -> Int {
        try await listening.wait()
    }

    /// Totals and details so far. Costs in proportion to the details kept.
    public func ledger() -> MockLedger {
        endpoints.withState { state, _ in state }.ledger()
    }

    /// The totals alone; cheap.
    public func totals() -> MockTotals {
        endpoints.withState { state, _ in state.totals }
    }

    /// Grants accounts a fresh chain each, ids `prefix` and a number from `first` on.
    ///
    /// - Parameters:
    ///   - count: none if zero or less.
    ///   - lifetime: of the first access tokens, the configured one if nil; negative for one that has expired already.
    public func seedAccounts(
        count: Int, prefix: String = "acct-", first: Int = 1, lifetime: Duration? = nil
    ) -> [MockAccount] {
        endpoints.withState { $0.seedAccounts(count: count, prefix: prefix, first: first, lifetime: lifetime, at: $1) }
    }

    /// Replaces the faults in force.
    ///
    /// - Throws: ``MockProviderError`` with code `invalidFault` if one is out of range; then nothing changes.
    public func setFaults(_ faults: [MockFault]) throws(MockProviderError) {
        for fault in faults {
            try fault.validate()
        }
        endpoints.withState { state, _ in state.setFaults(faults) }
    }

    /// Revokes every grant of an account, access tokens included.
    ///
    /// - Returns: how many grants it ended, nil for an unknown account.
    @discardableResult
    public func revoke(account: String) -> Int? {
        endpoints.withState { state, _ in state.revoke(account: account) }
    }
}
