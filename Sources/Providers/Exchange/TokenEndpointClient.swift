public import CurlClient
public import RefreshCore

/// What carries a token request: ``CurlClient``, or a stand-in for tests.
public protocol TokenTransport: Sendable {
    func execute(_ request: CurlRequest) async throws(CurlError) -> CurlResponse
}

extension CurlClient: TokenTransport {}

/// The ``TokenEndpoint`` port over HTTP: builds the one request that carries a refresh token, and reads what comes back
/// by the rules of the account's provider.
public struct TokenEndpointClient: TokenEndpoint {
    private let catalog: ProviderCatalog
    private let transport: any TokenTransport
    private let time: any TimeSource

    public init(catalog: ProviderCatalog, transport: any TokenTransport, time: any TimeSource) {
        self.catalog = catalog
        self.transport = transport
        self.time = time
    }

    public func spend(
        _ claim: RefreshClaim, policy: RefreshPolicy, sendBy: MonotonicTime, deadline: MonotonicTime
    ) async -> ExchangeResult {
        guard let definition = catalog[claim.account.provider] else {
            return .unsent("the provider \(claim.account.provider) is not in this instance's configuration")
        }
        let remaining = deadline - time.monotonic()
        guard remaining > .zero else { return .unsent("the exchange deadline had passed before the request was sent") }
        let route = RequestRoute(claim.account.proxy, definition: definition)
        let request: CurlRequest
        do {
            request = try TokenRequest.build(
                definition, credential: AccountCredential(claim.refreshToken), moment: time.wall(),
                connectTimeout: policy.connectTimeout, totalTimeout: remaining, sendBy: time.instant(of: sendBy))
        } catch {
            return .unsent("the request cannot be made: \(error.description)")
        }

        // A re-send may bring the answer to the first sending once more, `expires_in` and all: it counts from then.
        let firstSentAt = claim.isRecovery ? claim.account.intent?.firstAt : nil
        let requestedAt = min(time.wall(), firstSentAt ?? time.wall())
        do {
            let response = try await transport.execute(route.lead(request))
            let raw = RawTokenResponse(
                status: response.status,
                headers: response.headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) },
                body: response.body, requestedAt: requestedAt, isReplay: claim.isRecovery)
            let credential = AccountCredential(claim.refreshToken)
            // An answer without a token is no loss where a new one can always be had.
            let isError =
                !raw.mayHoldTokens
                || (credential.refreshToken == nil
                    && TokenAnswer.parse(raw.body, definition.response)?.accessToken == nil)
            return .answered(raw.without(credential.parts + TokenRequest.assertions(in: request), isBodyKept: !isError))
        } catch {
            let words = route.words(for: error)
            guard error.unsent else { return .unanswered(words) }
            // A proxy that does not work is the account's or the configuration's affair, and no word on the provider.
            return route.proxy == nil && error.isUnreachable ? .unreachable(words) : .unsent(words)
        }
    }

    public func interpret(_ response: RawTokenResponse, provider: ProviderName) -> ExchangeOutcome {
        catalog.interpret(response, provider: provider)
            ?? .ambiguous("the provider \(provider) is not in this instance's configuration")
    }
}

extension CurlError {
    /// Whether it is the server's side, or the way there, that kept the request from being sent.
    fileprivate var isUnreachable: Bool {
        switch code {
        case .resolve, .connect, .tls, .timeout, .send, .receive: true
        default: false
        }
    }
}
