import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import Logging
import NIOConcurrencyHelpers
import NIOCore
import ServiceLifecycle

/// A provider of one row, played after what is known of it: paths, fields, client authentication, rotation with reuse
/// detection, wording of errors. For tests; listens on 127.0.0.1 only.
///
/// It takes nothing on trust: a request that the provider would turn away is turned away, in the provider's own words,
/// and every request is in the ledger.
///
/// Its API, for what calls it through Perennial, wants an access token that it has issued, and answers in the row's own
/// words otherwise. It takes the token as bearer, in HTTP basic, and in any header, query parameter or cookie.
///
/// | path | a call with a good token gets |
/// |---|---|
/// | ``apiPath`` | the account, as the row's API would name it |
/// | `/echo` | what was received, without the token: account, where the token was, method, authority, path, query, headers, length and SHA-256 of the body |
/// | `/events?count=&interval=` | server-sent events, `{"n", "at"}` with `at` in ms since 1970 |
/// | `/chunked?count=&size=&interval=` | chunks |
/// | `/trailers?count=&size=` | chunks and the trailers `X-Count`, `X-Checksum` (SHA-256 of the body) |
/// | `/drip?count=&interval=` | a body of announced length, byte by byte |
/// | `/hold?interval=` | an answer that takes its time |
/// | `/never`, `/stall?size=`, `/cut?size=` | nothing; half a body and silence; half a body and the end of the connection |
///
/// `count` is 10 if not given, 0 for no end; `interval` is in ms; `size` in bytes.
public final class ProviderDouble: Service, Sendable {
    public let configuration: DoubleConfiguration
    private let state: NIOLockedValueBox<DoubleState>
    private let logger: Logger
    private let listening = ListeningGate()

    /// - Parameter seed: of the tokens; the same seed and the same calls give the same refresh tokens.
    public init(_ configuration: DoubleConfiguration, seed: UInt64 = 1, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        state = NIOLockedValueBox(DoubleState(configuration: configuration, seed: seed))
    }

    /// Serves until graceful shutdown or cancellation. Runs once.
    ///
    /// - Throws: ``MockProviderError`` if no port can be bound or it has run before.
    public func run() async throws {
        guard listening.begin() else {
            throw MockProviderError(.stopped, "a double runs once: make a new one to start again")
        }
        do {
            let server = try MockHTTP.server(
                at: .hostname("127.0.0.1", port: 0), logger: logger, gate: listening,
                bodyUse: DoubleCall.bodyUse, answer: { [self] in answer($0) })
            try await server.run()
        } catch {
            let failure = MockProviderError(.listenFailed, "cannot listen on 127.0.0.1", underlying: error)
            listening.end(failure)
            throw failure
        }
        listening.end(MockProviderError(.stopped, "the double has stopped"))
    }

    /// Waits until connections are accepted and answers the TCP port.
    ///
    /// - Throws: ``MockProviderError`` if it failed to start or has stopped; `CancellationError`.
    public func waitUntilListening() async throws -> Int { try await listening.wait() }

    /// With what the row's own query demands.
    public func tokenURL(port: Int) -> String { "http://127.0.0.1:\(port)\(tokenPath)" }

    public var tokenPath: String { state.withLockedValue { $0.behaviour.tokenPath } }
    public var apiPath: String { state.withLockedValue { $0.behaviour.apiPath } }

    // MARK: Steering

    /// Adds an account, or gives one that exists a new grant, as its owner's new log-in would.
    ///
    /// - Parameters:
    ///   - account: for `client_credentials` the client's id, for `jwt_bearer` the subject, for `intranet` the user.
    ///   - lifetime: of the access token that comes with it, the configured one if nil; negative for an expired one.
    @discardableResult
    public func grant(_ account: String, lifetime: Duration? = nil) -> DoubleGrant {
        state.withLockedValue { $0.grant(account, lifetime: lifetime ?? configuration.lifetime, at: Self.now()) }
    }

    /// Lets one more client in, or changes the secret of one.
    public func register(client id: String, secret: String?) {
        state.withLockedValue { $0.register(client: id, secret: secret) }
    }

    /// Orders what the next requests of an account meet, after what was ordered before. Only requests that are proper
    /// and present what is good count.
    ///
    /// - Parameter times: `Int.max` for all that come.
    /// - Throws: ``MockProviderError`` for an account or a fault that there is not.
    public func order(
        _ order: DoubleOrder, times: Int = 1, of account: String, phase: DoubleUse.Phase = .token
    ) throws(MockProviderError) {
        if case .fault(let name) = order {
            let names = (phase == .token ? configuration.faults : configuration.apiFaults).map(\.name)
            guard names.contains(name) else {
                throw MockProviderError(
                    .invalidFault, "there is no fault \"\(name)\": use one of \(names.joined(separator: ", "))")
            }
        }
        guard state.withLockedValue({ $0.order(order, times: times, of: account, phase: phase) }) else {
            throw MockProviderError(.invalidRequest, "there is no account \(account): grant it first")
        }
    }

    /// Drops what is left of an account's orders.
    public func heal(_ account: String) { state.withLockedValue { $0.heal(account) } }

    /// Ends an account's grant, access tokens included.
    public func revoke(_ account: String) { state.withLockedValue { $0.revoke(account) } }

    /// Ends an account's access tokens, which then count as expired; its grant stays good. A token that dies before its time.
    ///
    /// - Throws: ``MockProviderError`` for an account that there is not.
    public func endAccessTokens(of account: String) throws(MockProviderError) {
        guard state.withLockedValue({ $0.endAccessTokens(of: account, at: Self.now()) }) else {
            throw MockProviderError(.invalidRequest, "there is no account \(account): grant it first")
        }
    }

    /// Limits the calls of the API from now on; nil = as many as come. What was called before does not count.
    ///
    /// - Parameter account: nil = each account that has no quota of its own.
    /// - Throws: ``MockProviderError`` for an account, or a fault that means a quota, that there is not.
    public func setQuota(_ quota: DoubleQuota?, of account: String? = nil) throws(MockProviderError) {
        if let fault = quota?.fault {
            let names = configuration.apiFaults.filter { $0.meaning == .quota }.map(\.name)
            guard names.contains(fault) else {
                throw MockProviderError(
                    .invalidFault, "there is no quota fault \"\(fault)\": use one of \(names.joined(separator: ", "))")
            }
        }
        guard state.withLockedValue({ $0.setQuota(quota, of: account) }) else {
            throw MockProviderError(.invalidRequest, "there is no account \(account ?? ""): grant it first")
        }
    }

    /// How many answers of `/events`, `/never` and their like are under way: a caller that has gone away ends its own.
    public var openStreams: Int { state.withLockedValue { $0.gauge }.value }

    /// Every request so far, oldest first.
    public var ledger: [DoubleUse] { state.withLockedValue { $0.uses } }

    // MARK: HTTP

    private static func now() -> MockInstant { MockEndpoints.now() }

    private func answer(_ whole: MockHTTP.WholeRequest) -> MockReply {
        let now = Self.now()
        let incoming = DoubleRequest(whole)
        var reply = state.withLockedValue { state in
            incoming.path == state.behaviour.apiPath || DoubleCall(path: incoming.path) != nil
                ? state.api(incoming, at: now) : state.token(incoming, at: now)
        }
        reply.headers[.date] = CivilTime(now).http
        return reply
    }
}
