import HTTPTypes

/// Claude: JSON, a public client, tokens that rotate.
struct ClaudeDouble: DoubleBehaviour {
    var tokenPath: String { "/v1/oauth/token" }
    var apiPath: String { "/v1/messages" }

    func credential(in request: DoubleRequest, for judge: DoubleJudge) throws(DoubleRefusal) -> DoubleCredential {
        let parameters = try request.parameters([.json])
        try parameters.requireGrant("refresh_token")
        let client = try parameters.required("client_id")
        guard judge.clients[client] != nil else { throw .invalidClient("its client is not registered") }
        guard parameters["client_secret"] == nil else { throw .invalidRequest("a public client has no secret") }
        return .refreshToken(try parameters.required("refresh_token"))
    }

    func answer(_ issue: DoubleIssue) -> MockReply {
        .json(
            .ok,
            DoubleJSON(issue, style: .expiresIn)
                .adding("scope", "user:inference user:profile")
                .adding(
                    "organization",
                    ["uuid": "6e0c8f4e-2f3c-4bb7-9e0d-6f3f1f0f8a11", "name": "\(issue.account)'s organization"]
                )
                .adding(
                    "account",
                    [
                        "uuid": "0b7c1c59-3a58-4a3e-8d0c-1d3d9a4b7c22",
                        "email_address": "\(issue.account)@example.com",
                    ]))
    }

    func answer(_ refusal: DoubleRefusal) -> MockReply {
        switch refusal {
        case .notFound: error(.notFound, "not_found_error", "Not found")
        case .wrongMethod: error(.methodNotAllowed, "invalid_request_error", "Method not allowed")
        case .wrongContentType, .invalidRequest, .invalidScope, .foreignApplication, .invalidAssertion:
            error(.badRequest, "invalid_request_error", "Invalid request format")
        case .unsupportedGrant: .oauth(.badRequest, "unsupported_grant_type")
        case .invalidClient: .oauth(.badRequest, "invalid_client", "Client not found")
        case .unknown, .reused, .revoked, .wrongPassword:
            .oauth(.badRequest, "invalid_grant", "Refresh token not found or invalid")
        }
    }

    /// The form that this provider's errors have outside RFC 6749.
    private func error(
        _ status: HTTPResponse.Status, _ type: String, _ message: String, details: DoubleJSON? = nil
    ) -> MockReply {
        let error: DoubleJSON = ["type": .text(type), "message": .text(message)]
        return .json(status, ["type": "error", "error": error.adding("details", details)])
    }

    var throttled: MockReply { error(.tooManyRequests, "rate_limit_error", "Rate limited. Please try again later.") }

    var faults: [DoubleFault] {
        [
            DoubleFault(.final, "invalid_grant", answer(.unknown)),
            DoubleFault(.transient, "api_error", error(.internalServerError, "api_error", "Internal server error")),
            DoubleFault(
                .transient, "overloaded_error", error(.init(code: 529), "overloaded_error", "Overloaded")),
            DoubleFault(.misconfigured, "the former host's not_found_error", answer(.notFound)),
            DoubleFault(.misconfigured, "invalid_client", answer(.invalidClient(""))),
        ]
    }

    func apiAnswer(_ access: DoubleAccess) -> MockReply {
        switch access {
        case .good(let account): .json(.ok, ["account": .text(account)])
        case .missing, .unknown: error(.unauthorized, "authentication_error", "Invalid bearer token")
        case .expired:
            error(
                .unauthorized, "authentication_error",
                "OAuth token has expired. Please obtain a new token or refresh your existing token.",
                details: ["error_visibility": "user_facing", "error_code": "token_expired"])
        case .revoked: error(.unauthorized, "authentication_error", "OAuth access token has been revoked")
        }
    }

    var apiFaults: [DoubleFault] {
        [
            DoubleFault(.refresh, "token_expired", apiAnswer(.expired)),
            DoubleFault(.refresh, "revoked", apiAnswer(.revoked)),
            DoubleFault(.quota, "rate_limit_error", throttled),
        ]
    }
}
