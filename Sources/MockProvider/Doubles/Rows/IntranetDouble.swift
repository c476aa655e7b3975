import HTTPTypes

/// A service of one's own: a login with user name and password as JSON, and errors as a code in a body with HTTP 200.
struct IntranetDouble: DoubleBehaviour {
    let configuration: DoubleConfiguration

    var tokenPath: String { "/auth/login" }
    var apiPath: String { "/api/me" }

    func credential(in request: DoubleRequest, for judge: DoubleJudge) throws(DoubleRefusal) -> DoubleCredential {
        let parameters = try request.parameters([.json])
        return .login(user: try parameters.required("username"), password: try parameters.required("password"))
    }

    func answer(_ issue: DoubleIssue) -> MockReply {
        var data: DoubleJSON = ["token": issue.accessToken]
        let expiry = issue.expiry ?? .number(issue.expiresIn)
        if configuration.style.expiry != .claim { data = data.adding("expires_in", expiry) }
        return .json(.ok, ["code": 0, "message": "ok", "data": data])
    }

    func answer(_ refusal: DoubleRefusal) -> MockReply {
        switch refusal {
        case .notFound: .json(.notFound, ["code": 404, "message": "no such path"])
        case .wrongMethod: .json(.methodNotAllowed, ["code": 405, "message": "use POST"])
        case .unknown, .wrongPassword, .reused, .revoked: code(40001, "user name or password is wrong")
        case .invalidClient, .foreignApplication: code(40013, "this application may not log in")
        default: code(40000, "the request is malformed")
        }
    }

    private func code(_ code: Int64, _ message: String) -> MockReply {
        .json(.ok, ["code": .number(code), "message": .text(message)])
    }

    private func errcode(_ code: Int64, _ message: String) -> MockReply {
        .json(.ok, ["errcode": .number(code), "errmsg": .text(message)])
    }

    var throttled: MockReply { .json(.tooManyRequests, ["code": 45009, "message": "too many logins"]) }

    var faults: [DoubleFault] {
        [
            DoubleFault(.final, "40001 at HTTP 200", answer(.wrongPassword)),
            DoubleFault(.transient, "50001 at HTTP 200", code(50001, "the system is busy")),
            DoubleFault(.transient, "500", .json(.internalServerError, ["code": 50000, "message": "oops"])),
            DoubleFault(.misconfigured, "40013 at HTTP 200", answer(.invalidClient(""))),
            DoubleFault(.misconfigured, "404", answer(.notFound)),
        ]
    }

    func apiAnswer(_ access: DoubleAccess) -> MockReply {
        if case .good(let account) = access {
            return .json(.ok, ["code": 0, "data": ["account": .text(account)]])
        }
        return code(40003, "the token is invalid or has expired")
    }

    var apiFaults: [DoubleFault] {
        [
            DoubleFault(.refresh, "40003 at HTTP 200", apiAnswer(.expired)),
            // As the WeChat API has it.
            DoubleFault(.refresh, "errcode 40001 at HTTP 200", errcode(40001, "invalid credential")),
            DoubleFault(.refresh, "errcode 42001 at HTTP 200", errcode(42001, "access_token expired")),
            DoubleFault(.quota, "429", throttled),
        ]
    }
}
