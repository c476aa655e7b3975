import CurlClient
import JSONText
public import RefreshCore

/// One exchange with a provider outside of any account, to see what is sent and how the answer is understood.
public struct ProviderTrial: Sendable {
    private let definition: ProviderDefinition
    private let credential: AccountCredential
    private let moment: WallTime
    private let uuid = TokenRequest.newUUID()

    /// A refresh token that no provider has issued.
    public static let invalidToken = Secret("perennial-dry-run-not-a-refresh-token")

    public init(_ definition: ProviderDefinition, _ credential: AccountCredential, moment: WallTime) {
        self.definition = definition
        self.credential = credential
        self.moment = moment
    }

    /// The request as a person may see it: what is secret, or was computed from a secret, is `***`.
    public struct MaskedRequest: Sendable {
        public var method: String
        public var url: String
        public var headers: [RawTokenResponse.Header]
        public var body: String?
    }

    /// - Throws: ``TemplateFailure`` when the request cannot be made.
    public func maskedRequest() throws(TemplateFailure) -> MaskedRequest {
        var request = try RequestComposer(
            definition: definition, credential: credential, moment: moment, uuid: uuid
        ).masked()
        if definition.given.contains("token_url") { request.url = EndpointURL.masked(request.url) }
        return MaskedRequest(
            method: request.method, url: request.url.replacing("%2A%2A%2A", with: "***"),
            headers: request.headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) },
            body: request.body)
    }

    /// Sends the request, once, through the provider's proxy if it has one.
    public func send(over transport: any TokenTransport) async throws(TemplateFailure) -> ExchangeResult {
        let request = try TokenRequest.build(
            definition, credential: credential, moment: moment, connectTimeout: definition.connectTimeout,
            totalTimeout: definition.exchangeDeadline, sendBy: .now + definition.sendBy, uuid: uuid)
        let route = RequestRoute(nil, definition: definition)
        do {
            let response = try await transport.execute(route.lead(request))
            let raw = RawTokenResponse(
                status: response.status,
                headers: response.headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) },
                body: response.body, requestedAt: moment)
            return .answered(
                raw.without(credential.parts + TokenRequest.assertions(in: request), isBodyKept: raw.mayHoldTokens))
        } catch {
            return error.unsent ? .unsent(route.words(for: error)) : .unanswered(route.words(for: error))
        }
    }

    /// The answer as a person may see it.
    public func masked(_ response: RawTokenResponse) -> MaskedAnswer {
        definition.masked(response, besides: credential.parts)
    }
}
