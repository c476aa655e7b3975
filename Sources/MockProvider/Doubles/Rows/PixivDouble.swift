import Crypto
import FoundationEssentials
import HTTPTypes

/// Pixiv: a form with client secret, headers computed from the time, tokens under `response`.
struct PixivDouble: DoubleBehaviour {
    let configuration: DoubleConfiguration

    var tokenPath: String { "/auth/token" }
    var apiPath: String { "/v1/user/detail" }

    /// How old or how far ahead `X-Client-Time` may be, in seconds.
    static let freshness: Int64 = 300

    func credential(in request: DoubleRequest, for judge: DoubleJudge) throws(DoubleRefusal) -> DoubleCredential {
        try checkComputedHeaders(request.headers, now: judge.now)
        let parameters = try request.parameters([.form])
        try parameters.requireGrant("refresh_token")
        guard parameters["get_secure_url"] == "1" else { throw .invalidRequest("it lacks get_secure_url=1") }
        let client = try parameters.required("client_id")
        guard let registered = judge.clients[client], registered == parameters["client_secret"] else {
            throw .invalidClient("its client id or secret is wrong")
        }
        return .refreshToken(try parameters.required("refresh_token"))
    }

    private func checkComputedHeaders(_ headers: HTTPFields, now: MockInstant) throws(DoubleRefusal) {
        guard let time = headers[HTTPField.Name("X-Client-Time")!] else {
            throw .foreignApplication("it has no X-Client-Time")
        }
        // The time as it has to be written, for every second that counts as fresh.
        let isFresh = (-Self.freshness...Self.freshness).contains { offset in
            CivilTime(now.advanced(by: .seconds(offset))).iso(zone: "+00:00") == time
        }
        guard isFresh else {
            throw .foreignApplication("its X-Client-Time (\(time)) is no UTC time of the last or next five minutes")
        }
        guard let hash = headers[HTTPField.Name("X-Client-Hash")!] else {
            throw .foreignApplication("it has no X-Client-Hash")
        }
        let digest = Insecure.MD5.hash(data: Data((time + configuration.hashSecret).utf8))
        let expected = digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        guard hash == expected else {
            throw .foreignApplication("its X-Client-Hash is not the MD5 of X-Client-Time and the hash secret")
        }
    }

    func answer(_ issue: DoubleIssue) -> MockReply {
        let response = DoubleJSON(issue, style: .expiresIn)
            .adding("scope", "")
            .adding(
                "user",
                ["id": "11", "name": .text(issue.account), "account": .text(issue.account), "is_premium": false])
        return .json(.ok, ["response": response])
    }

    func answer(_ refusal: DoubleRefusal) -> MockReply {
        switch refusal {
        case .notFound, .wrongMethod: error(.notFound, "Not Found", 404, "not_found")
        case .wrongContentType, .invalidRequest, .unsupportedGrant, .invalidScope, .invalidAssertion:
            error(.badRequest, "Invalid grant_type parameter or parameter missing", 101, "invalid_request")
        case .foreignApplication: MockReply(.forbidden, headers: [:])
        case .invalidClient: error(.badRequest, "Invalid client", 1501, "invalid_client")
        case .unknown, .reused, .revoked, .wrongPassword:
            error(.badRequest, "Invalid refresh token", 1508, "invalid_grant")
        }
    }

    private func error(_ status: HTTPResponse.Status, _ message: String, _ code: Int64, _ error: String) -> MockReply {
        .json(
            status,
            [
                "has_error": true,
                "errors": ["system": ["message": .text(message), "code": .number(code)]],
                "error": .text(error),
            ])
    }

    var throttled: MockReply { error(.tooManyRequests, "Rate Limit", 0, "rate_limit") }

    var faults: [DoubleFault] {
        [
            DoubleFault(.final, "Invalid refresh token", answer(.unknown)),
            DoubleFault(.transient, "403 with an empty body", MockReply(.forbidden, headers: [:])),
            DoubleFault(.transient, "503 without a body", MockReply(.serviceUnavailable, headers: [:])),
            DoubleFault(.misconfigured, "invalid_client", answer(.invalidClient(""))),
        ]
    }

    func apiAnswer(_ access: DoubleAccess) -> MockReply {
        if case .good(let account) = access { return .json(.ok, ["user": ["account": .text(account)]]) }
        return apiError(
            .badRequest,
            "Error occurred at the OAuth process. Please check your Access Token to fix this. "
                + "Error Message: invalid_grant")
    }

    private func apiError(_ status: HTTPResponse.Status, _ message: String) -> MockReply {
        .json(
            status,
            [
                "error": [
                    "user_message": "", "message": .text(message), "reason": "",
                    "user_message_details": [:] as DoubleJSON,
                ]
            ])
    }

    var apiFaults: [DoubleFault] {
        [
            DoubleFault(.refresh, "invalid_grant", apiAnswer(.expired)),
            DoubleFault(
                .refresh, "Error occurred at the OAuth process",
                apiError(.badRequest, "Error occurred at the OAuth process.")),
            DoubleFault(.refresh, "oauth", apiError(.badRequest, "oauth")),
            DoubleFault(.refresh, "unauthorized", apiError(.badRequest, "unauthorized")),
            DoubleFault(.quota, "Rate Limit", apiError(.forbidden, "Rate Limit")),
        ]
    }
}
