import HTTPTypes

/// Warp: Firebase's secure token service behind a proxy of Warp's own, with the key in the query.
struct WarpDouble: DoubleBehaviour {
    let configuration: DoubleConfiguration

    var tokenPath: String { "/proxy/token" }
    var apiPath: String { "/ai/multi-agent" }

    func credential(in request: DoubleRequest, for judge: DoubleJudge) throws(DoubleRefusal) -> DoubleCredential {
        guard let key = request.query["key"], key == configuration.apiKey else {
            throw .invalidClient("the key in its query is wrong or missing")
        }
        let parameters = try request.parameters([.form])
        try parameters.requireGrant("refresh_token")
        return .refreshToken(try parameters.required("refresh_token"))
    }

    func answer(_ issue: DoubleIssue) -> MockReply {
        .json(
            .ok,
            DoubleJSON(issue, style: configuration.style.expiry)
                .adding("id_token", issue.accessToken)
                .adding("user_id", .text(issue.account))
                .adding("project_id", "13153726198"))
    }

    func answer(_ refusal: DoubleRefusal) -> MockReply {
        switch refusal {
        case .notFound, .wrongMethod: error(.notFound, "Not Found", "NOT_FOUND")
        case .wrongContentType, .invalidRequest, .invalidScope, .invalidAssertion:
            error(.badRequest, "MISSING_REFRESH_TOKEN")
        case .unsupportedGrant: error(.badRequest, "INVALID_GRANT_TYPE")
        case .foreignApplication: error(.forbidden, "The client version is missing", "PERMISSION_DENIED")
        case .invalidClient: error(.badRequest, "API key not valid. Please pass a valid API key.")
        case .unknown, .reused, .wrongPassword: error(.badRequest, "INVALID_REFRESH_TOKEN")
        case .revoked: error(.badRequest, "TOKEN_EXPIRED")
        }
    }

    private func error(
        _ status: HTTPResponse.Status, _ message: String, _ name: String = "INVALID_ARGUMENT"
    ) -> MockReply {
        .json(
            status,
            ["error": ["code": .number(Int64(status.code)), "message": .text(message), "status": .text(name)]])
    }

    var throttled: MockReply { error(.tooManyRequests, "Quota exceeded.", "RESOURCE_EXHAUSTED") }

    var faults: [DoubleFault] {
        let final = ["TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN", "USER_DISABLED", "USER_NOT_FOUND"].map { message in
            DoubleFault(.final, message, error(.badRequest, message))
        }
        return final + [
            DoubleFault(
                .transient, "UNAVAILABLE",
                error(.serviceUnavailable, "The service is currently unavailable.", "UNAVAILABLE")),
            DoubleFault(.transient, "502 without a body", MockReply(.badGateway, headers: [:])),
            DoubleFault(.misconfigured, "API key not valid", answer(.invalidClient(""))),
            DoubleFault(.misconfigured, "INVALID_GRANT_TYPE", answer(.unsupportedGrant(""))),
        ]
    }

    func apiAnswer(_ access: DoubleAccess) -> MockReply {
        if case .good(let account) = access { return .json(.ok, ["account": .text(account)]) }
        return .json(.unauthorized, ["error": "User not in context: Not found: no user"])
    }

    var apiFaults: [DoubleFault] {
        [
            DoubleFault(.refresh, "User not in context", apiAnswer(.expired)),
            DoubleFault(.quota, "No remaining quota", .json(.tooManyRequests, ["error": "No remaining quota"])),
            DoubleFault(
                .quota, "No AI requests remaining", .json(.tooManyRequests, ["error": "No AI requests remaining"])),
        ]
    }
}
