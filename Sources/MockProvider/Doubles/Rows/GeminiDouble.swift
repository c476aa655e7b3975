import HTTPTypes
import NIOCore

/// Google: a form with client id and secret, and a refresh token that is not returned again.
struct GeminiDouble: DoubleBehaviour {
    var tokenPath: String { "/token" }
    var apiPath: String { "/v1/models" }

    func credential(in request: DoubleRequest, for judge: DoubleJudge) throws(DoubleRefusal) -> DoubleCredential {
        let parameters = try request.parameters([.form])
        try parameters.requireGrant("refresh_token")
        guard request.headers[.authorization] == nil else {
            throw .invalidRequest("its client has to authenticate in the body")
        }
        let client = try parameters.required("client_id")
        let secret = try parameters.required("client_secret")
        guard let registered = judge.clients[client] else { throw .invalidClient("its client is not registered") }
        guard registered == secret else { throw .invalidClient("its client secret is wrong") }
        return .refreshToken(try parameters.required("refresh_token"))
    }

    func answer(_ issue: DoubleIssue) -> MockReply {
        .json(
            .ok,
            DoubleJSON(issue, style: .expiresIn)
                .adding("scope", "https://www.googleapis.com/auth/cloud-platform openid")
                .adding("id_token", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"))
    }

    func answer(_ refusal: DoubleRefusal) -> MockReply {
        switch refusal {
        case .notFound: MockReply(.notFound, headers: MockReply.htmlHeaders, body: .init(string: "<title>404</title>"))
        case .wrongMethod: .oauth(.methodNotAllowed, "invalid_request", "Bad Request")
        case .wrongContentType, .invalidRequest, .invalidAssertion, .foreignApplication:
            .oauth(.badRequest, "invalid_request", "Could not determine client ID from request.")
        case .unsupportedGrant: .oauth(.badRequest, "unsupported_grant_type", "Invalid grant_type")
        case .invalidScope: .oauth(.badRequest, "invalid_scope", "Some requested scopes were invalid.")
        case .invalidClient: .oauth(.unauthorized, "invalid_client", "The OAuth client was not found.")
        case .unknown, .reused, .wrongPassword: .oauth(.badRequest, "invalid_grant", "Bad Request")
        case .revoked: .oauth(.badRequest, "invalid_grant", "Token has been expired or revoked.")
        }
    }

    var throttled: MockReply { .oauth(.tooManyRequests, "rate_limit_exceeded", "Rate Limit Exceeded") }

    var faults: [DoubleFault] {
        let rapt: DoubleJSON = [
            "error": "invalid_grant", "error_description": "reauth related error (invalid_rapt)",
            "error_uri": "https://support.google.com/a/answer/9368756", "error_subtype": "invalid_rapt",
        ]
        return [
            DoubleFault(.final, "expired or revoked", answer(.revoked)),
            DoubleFault(.final, "Bad Request", answer(.unknown)),
            DoubleFault(.final, "invalid_rapt", .json(.badRequest, rapt)),
            DoubleFault(.final, "invalid_rapt as the code", .oauth(.badRequest, "invalid_rapt")),
            DoubleFault(.transient, "server_error", .oauth(.internalServerError, "server_error")),
            DoubleFault(
                .transient, "temporarily_unavailable", .oauth(.serviceUnavailable, "temporarily_unavailable")),
            DoubleFault(.transient, "internal_failure", .oauth(.internalServerError, "internal_failure")),
            // Clients of this provider go by the code, whatever the status.
            DoubleFault(.transient, "internal_failure with 400", .oauth(.badRequest, "internal_failure")),
            DoubleFault(.misconfigured, "invalid_client", answer(.invalidClient(""))),
            DoubleFault(.misconfigured, "unauthorized_client", .oauth(.unauthorized, "unauthorized_client")),
        ]
    }

    func apiAnswer(_ access: DoubleAccess) -> MockReply {
        if case .good(let account) = access { return .json(.ok, ["account": .text(account)]) }
        return .json(
            .unauthorized,
            [
                "error": [
                    "code": 401,
                    "message": "Request had invalid authentication credentials. Expected OAuth 2 access token.",
                    "status": "UNAUTHENTICATED",
                ]
            ])
    }

    var apiFaults: [DoubleFault] {
        [
            DoubleFault(.refresh, "UNAUTHENTICATED", apiAnswer(.expired)),
            DoubleFault(
                .quota, "RESOURCE_EXHAUSTED",
                .json(
                    .tooManyRequests,
                    ["error": ["code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"]])),
        ]
    }
}
