import HTTPTypes

/// A token endpoint as RFC 6749 has it, with one of three grants: `refresh_token` (§6), `client_credentials` (§4.4) or
/// `jwt-bearer` (RFC 7523 §2.1).
struct GenericDouble: DoubleBehaviour {
    let configuration: DoubleConfiguration

    var tokenPath: String { "/oauth2/token" }
    var apiPath: String { "/api/me" }

    private static let jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    /// How far the clocks of client and server may be apart, in milliseconds.
    private static let leeway: Int64 = 60_000
    /// Assertions that live longer are refused (RFC 7523 §3, 4.), in seconds.
    private static let longestAssertion = 3600.0

    func credential(in request: DoubleRequest, for judge: DoubleJudge) throws(DoubleRefusal) -> DoubleCredential {
        let parameters = try request.parameters(configuration.style.bodies)
        switch configuration.row {
        case .clientCredentials:
            try parameters.requireGrant("client_credentials")
            let client = try self.client(in: request, parameters, judge)
            try checkScope(parameters)
            return .client(client)
        case .jwtBearer:
            try parameters.requireGrant(Self.jwtBearer)
            return try assertion(in: request, parameters, judge)
        default:
            try parameters.requireGrant("refresh_token")
            _ = try self.client(in: request, parameters, judge)
            try checkScope(parameters)
            return .refreshToken(try parameters.required("refresh_token"))
        }
    }

    private func checkScope(_ parameters: [String: String]) throws(DoubleRefusal) {
        guard let scope = configuration.scope, parameters["scope"] != scope else { return }
        throw .invalidScope("its scope is not the one that was granted")
    }

    /// The client, who has to prove it in the one way that is registered for it.
    private func client(
        in request: DoubleRequest, _ parameters: [String: String], _ judge: DoubleJudge
    ) throws(DoubleRefusal) -> String {
        let id: String
        let secret: String?
        switch configuration.style.clientAuthentication {
        case .basic:
            guard let header = request.headers[.authorization] else {
                throw .invalidClient("it has no Authorization header")
            }
            guard let basic = BasicCredentials(header) else {
                throw .invalidClient("its Authorization header is no HTTP basic")
            }
            guard parameters["client_secret"] == nil,
                parameters["client_id"] == nil || parameters["client_id"] == basic.id
            else { throw .invalidRequest("its client authenticates in more than one way") }
            (id, secret) = (basic.id, basic.secret)
        case .post, .none:
            guard request.headers[.authorization] == nil else {
                throw .invalidRequest("its client has to authenticate in the body")
            }
            guard let given = parameters["client_id"] else { throw .invalidClient("it lacks client_id") }
            (id, secret) = (given, parameters["client_secret"])
        }
        guard let registered = judge.clients[id] else { throw .invalidClient("its client is not registered") }
        guard secret == registered else { throw .invalidClient("its client secret is wrong or missing") }
        return id
    }

    private func assertion(
        in request: DoubleRequest, _ parameters: [String: String], _ judge: DoubleJudge
    ) throws(DoubleRefusal) -> DoubleCredential {
        func refuse(_ reason: String) -> DoubleRefusal { .invalidAssertion("its assertion \(reason)") }
        let text = try parameters.required("assertion")
        guard let key = configuration.assertionKey else { throw .invalidClient("no key is registered") }
        let claims = try JSONWebToken.verify(text, key: key)
        guard judge.clients[claims.issuer] != nil else { throw refuse("is of an issuer that is not registered") }
        let audience = configuration.audience ?? request.url
        guard claims.audiences.contains(audience) else { throw refuse("is for another audience than \(audience)") }
        let now = Double(judge.now.milliseconds) / 1000
        let leeway = Double(Self.leeway) / 1000
        guard claims.expiresAt > now - leeway else { throw refuse("has expired") }
        guard claims.expiresAt <= now + Self.longestAssertion + leeway else {
            throw refuse("lives longer than an hour")
        }
        if let issuedAt = claims.issuedAt, issuedAt > now + leeway { throw refuse("was made in the future") }
        if let notBefore = claims.notBefore, notBefore > now + leeway { throw refuse("is not good yet") }
        return .subject(claims.subject, assertion: text)
    }

    func answer(_ issue: DoubleIssue) -> MockReply {
        .json(.ok, DoubleJSON(issue, style: configuration.style.expiry))
    }

    func answer(_ refusal: DoubleRefusal) -> MockReply {
        switch refusal {
        case .notFound: .error(.notFound, "not_found", "There is nothing at this path")
        case .wrongMethod: .error(.methodNotAllowed, "invalid_request", "Use POST")
        case .wrongContentType, .invalidRequest, .foreignApplication:
            .oauth(.badRequest, "invalid_request", "The request is malformed")
        case .unsupportedGrant: .oauth(.badRequest, "unsupported_grant_type", "This grant type is not supported")
        case .invalidScope: .oauth(.badRequest, "invalid_scope", "The requested scope exceeds what was granted")
        case .invalidClient where configuration.style.clientAuthentication == .basic:
            .oauth(.unauthorized, "invalid_client", "Client authentication failed")
                .challenging("Basic realm=\"double\"")
        case .invalidClient: .oauth(.unauthorized, "invalid_client", "Client authentication failed")
        case .invalidAssertion: .oauth(.badRequest, "invalid_grant", "The assertion is not valid")
        case .unknown, .revoked, .wrongPassword:
            .oauth(.badRequest, "invalid_grant", "The refresh token is invalid, expired or revoked")
        case .reused: .oauth(.badRequest, "invalid_grant", "The refresh token has already been used")
        }
    }

    var throttled: MockReply { .oauth(.tooManyRequests, "too_many_requests", "Slow down") }

    var faults: [DoubleFault] {
        var faults: [DoubleFault] = []
        // A client that vouches for itself has no grant that could be over: it can only be refused as a client.
        if configuration.row != .clientCredentials {
            faults.append(
                DoubleFault(.final, "invalid_grant", .oauth(.badRequest, "invalid_grant", "The grant has expired")))
        }
        return faults + [
            DoubleFault(.transient, "server_error", .oauth(.internalServerError, "server_error")),
            DoubleFault(
                .transient, "temporarily_unavailable", .oauth(.serviceUnavailable, "temporarily_unavailable")),
            DoubleFault(.transient, "502 without a body", MockReply(.badGateway, headers: [:])),
            DoubleFault(.misconfigured, "invalid_client", answer(.invalidClient(""))),
            DoubleFault(
                .misconfigured, "unauthorized_client",
                .oauth(.badRequest, "unauthorized_client", "This client may not use this grant")),
            DoubleFault(.misconfigured, "invalid_scope", answer(.invalidScope(""))),
            DoubleFault(.misconfigured, "invalid_request", answer(.invalidRequest(""))),
            DoubleFault(.misconfigured, "unsupported_grant_type", answer(.unsupportedGrant(""))),
        ]
    }

    func apiAnswer(_ access: DoubleAccess) -> MockReply {
        let error: String
        switch access {
        case .good(let account): return .json(.ok, ["account": .text(account)])
        case .missing: return .error(.unauthorized, "invalid_token", "A token is needed").challenging("Bearer")
        case .expired: error = "The access token expired"
        case .unknown, .revoked: error = "The access token is unknown or revoked"
        }
        return .error(.unauthorized, "invalid_token", error)
            .challenging("Bearer error=\"invalid_token\", error_description=\"\(error)\"")
    }

    var apiFaults: [DoubleFault] {
        [DoubleFault(.refresh, "invalid_token", apiAnswer(.expired)), DoubleFault(.quota, "429", throttled)]
    }
}
