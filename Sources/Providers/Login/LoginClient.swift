import CurlClient
import JSONText
public import RefreshCore

/// The requests of a log-in: the exchange of a code, and those of the device flow. Each is sent once.
public struct LoginClient: Sendable {
    private let definition: ProviderDefinition
    private let route: RequestRoute
    private let transport: any TokenTransport
    private let time: any TimeSource

    public init(
        _ definition: ProviderDefinition, route: RequestRoute, transport: any TokenTransport, time: any TimeSource
    ) {
        self.definition = definition
        self.route = route
        self.transport = transport
        self.time = time
    }

    /// RFC 6749 §4.1.3 with RFC 7636 §4.5.
    public func exchange(_ code: Secret, for request: AuthorizationRequest) async -> ExchangeResult {
        var fields = [
            (name: "grant_type", value: "authorization_code"), (name: "code", value: code.reveal()),
            (name: "redirect_uri", value: request.redirectURI.text),
            (name: "code_verifier", value: request.pkce.verifier.reveal()),
        ]
        if definition.login.exchange?.includesState == true { fields.append((name: "state", value: request.state)) }
        do {
            return await send(
                try LoginRequest.token(definition, fields, moment: time.wall()), secrets: [code, request.pkce.verifier])
        } catch {
            return .unsent("the request cannot be made: \(error.description)")
        }
    }

    /// RFC 8628 §3.1.
    ///
    /// - Throws: ``LoginError``.
    public func authorizeDevice(at url: String, scope: String?) async throws(LoginError) -> DeviceAuthorization {
        let request: CurlRequest
        do {
            request = try LoginRequest.device(definition, url: url, scope: scope, moment: time.wall())
        } catch {
            throw LoginError(.refused, "the request cannot be made: \(error.description)")
        }
        switch await send(request, secrets: []) {
        case .unsent(let reason), .unreachable(let reason), .unanswered(let reason):
            throw LoginError(.unreachable, "the device authorization endpoint could not be asked: \(reason)")
        case .answered(let response):
            // Looked at before the status: some providers say so with 200.
            let document = LoginDocument.parse(response.body)
            if let error = LoginDocument.error(in: document) {
                throw AuthorizationRequest.failure(error, document?["error_description"]?.plainText)
            }
            guard (200..<300).contains(response.status) else {
                throw LoginError(.refused, "the device authorization endpoint answered HTTP \(response.status)")
            }
            return try DeviceAuthorization(response.body)
        }
    }

    /// RFC 8628 §3.4.
    public func poll(_ authorization: DeviceAuthorization) async -> ExchangeResult {
        let fields = [
            (name: "grant_type", value: "urn:ietf:params:oauth:grant-type:device_code"),
            (name: "device_code", value: authorization.deviceCode.reveal()),
        ]
        do {
            return await send(
                try LoginRequest.token(definition, fields, moment: time.wall()), secrets: [authorization.deviceCode])
        } catch {
            return .unsent("the request cannot be made: \(error.description)")
        }
    }

    private func send(_ request: CurlRequest, secrets: [Secret]) async -> ExchangeResult {
        let requestedAt = time.wall()
        do {
            let response = try await transport.execute(route.lead(request))
            let raw = RawTokenResponse(
                status: response.status,
                headers: response.headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) },
                body: response.body, requestedAt: requestedAt)
            // An error that quotes what was sent is shown; tokens are left as they are.
            let isBodyKept = raw.mayHoldTokens && TokenTrace.isIn(raw.body)
            return .answered(raw.without(secrets + definition.secrets, isBodyKept: isBodyKept))
        } catch {
            return error.unsent ? .unsent(route.words(for: error)) : .unanswered(route.words(for: error))
        }
    }
}
