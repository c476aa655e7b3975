import HTTPTypes

/// OpenAI: form or JSON, a public client with a scope, tokens that rotate, errors one level down.
struct OpenAIDouble: DoubleBehaviour {
    let configuration: DoubleConfiguration

    var tokenPath: String { "/oauth/token" }
    var apiPath: String { "/v1/responses" }

    func credential(in request: DoubleRequest, for judge: DoubleJudge) throws(DoubleRefusal) -> DoubleCredential {
        let parameters = try request.parameters([.form, .json])
        try parameters.requireGrant("refresh_token")
        let client = try parameters.required("client_id")
        guard judge.clients[client] != nil else { throw .invalidClient("its client is not registered") }
        guard parameters["scope"] == configuration.scope else {
            throw .invalidScope("its scope is not \(configuration.scope ?? "absent")")
        }
        return .refreshToken(try parameters.required("refresh_token"))
    }

    func answer(_ issue: DoubleIssue) -> MockReply {
        .json(
            .ok,
            DoubleJSON(issue, style: .expiresIn)
                .adding("id_token", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln")
                .adding("scope", .text(configuration.scope ?? "")))
    }

    func answer(_ refusal: DoubleRefusal) -> MockReply {
        switch refusal {
        case .notFound: error(.notFound, "not_found", "Not found")
        case .wrongMethod: error(.methodNotAllowed, "method_not_allowed", "Method not allowed")
        case .wrongContentType, .invalidRequest, .invalidAssertion, .foreignApplication:
            error(.badRequest, "invalid_request", "The request is malformed")
        case .unsupportedGrant: error(.badRequest, "unsupported_grant_type", "Unsupported grant type")
        case .invalidScope: error(.badRequest, "invalid_scope", "Invalid scope")
        case .invalidClient: error(.unauthorized, "invalid_client", "Invalid client specified")
        case .unknown, .revoked, .wrongPassword:
            error(.unauthorized, "refresh_token_invalidated", "Your refresh token has been invalidated.")
        case .reused:
            error(
                .unauthorized, "refresh_token_reused",
                "Your refresh token has already been used to generate a new access token.")
        }
    }

    private func error(_ status: HTTPResponse.Status, _ code: String, _ message: String) -> MockReply {
        .json(
            status,
            [
                "error": [
                    "message": .text(message), "type": "invalid_request_error", "param": nil, "code": .text(code),
                ]
            ])
    }

    var throttled: MockReply { error(.tooManyRequests, "rate_limit_exceeded", "Too many requests") }

    var faults: [DoubleFault] {
        // Each comes with 400 or with 401.
        let final = [
            "refresh_token_reused", "refresh_token_invalidated", "refresh_token_expired", "token_expired",
        ].flatMap { code -> [DoubleFault] in
            [
                DoubleFault(.final, "\(code) with 401", error(.unauthorized, code, "Please log in again.")),
                DoubleFault(.final, "\(code) with 400", error(.badRequest, code, "Please log in again.")),
            ]
        }
        return final + [
            DoubleFault(
                .transient, "server_error",
                .json(
                    .internalServerError,
                    ["error": ["message": "The server had an error", "type": "server_error", "code": nil]])),
            DoubleFault(.transient, "503 without a body", MockReply(.serviceUnavailable, headers: [:])),
            DoubleFault(.misconfigured, "invalid_client", answer(.invalidClient(""))),
        ]
    }

    func apiAnswer(_ access: DoubleAccess) -> MockReply {
        switch access {
        case .good(let account): .json(.ok, ["account": .text(account)])
        case .expired, .revoked:
            error(
                .unauthorized, "token_expired", "Provided authentication token is expired. Please try signing in again."
            )
        case .missing, .unknown: error(.unauthorized, "invalid_api_key", "Incorrect API key provided")
        }
    }

    var apiFaults: [DoubleFault] {
        [
            DoubleFault(.refresh, "token_expired", apiAnswer(.expired)),
            DoubleFault(.quota, "rate_limit_exceeded", throttled),
        ]
    }
}
