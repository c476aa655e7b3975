import CurlClient
import Providers
import RefreshCore
import Testing

struct InterpretTests {
    static let html = "<html><body>Attention required</body></html>"
    static let claudeRefusal =
        #"{"error":"invalid_grant","error_description":"Refresh token not found or invalid"}"#

    @Test(arguments: [
        // RFC 6749 §5.2
        ("oauth2", 400, #"{"error":"invalid_grant"}"#, "refused"),
        ("oauth2", 401, #"{"error":"invalid_grant"}"#, "refused"),
        ("oauth2", 200, #"{"error":"invalid_grant"}"#, "refused"),
        ("oauth2", 500, #"{"error":"invalid_grant"}"#, "ambiguous"),
        ("oauth2", 408, #"{"error":"invalid_grant"}"#, "ambiguous"),
        ("oauth2", 429, #"{"error":"invalid_grant"}"#, "throttled"),
        ("oauth2", 401, #"{"error":"invalid_client"}"#, "misconfigured"),
        ("oauth2", 400, #"{"error":"unauthorized_client"}"#, "misconfigured"),
        ("oauth2", 400, #"{"error":"invalid_scope"}"#, "misconfigured"),
        ("oauth2", 400, #"{"error":"unsupported_grant_type"}"#, "misconfigured"),
        ("oauth2", 400, #"{"error":"never_heard_of"}"#, "misconfigured"),
        ("oauth2", 400, #"{"error":"slow_down"}"#, "throttled"),
        ("oauth2", 500, #"{"error":"invalid_client"}"#, "ambiguous"),
        // Bare statuses
        ("oauth2", 301, "", "misconfigured"), ("oauth2", 400, "", "misconfigured"),
        ("oauth2", 401, "", "misconfigured"),
        ("oauth2", 401, html, "misconfigured"), ("oauth2", 403, "", "throttled"), ("oauth2", 403, html, "throttled"),
        ("oauth2", 403, #"{"message":"Forbidden"}"#, "throttled"),
        ("oauth2", 403, #"{"error":"nope"}"#, "misconfigured"),
        ("oauth2", 404, html, "misconfigured"), ("oauth2", 405, "", "misconfigured"), ("oauth2", 408, "", "ambiguous"),
        ("oauth2", 429, html, "throttled"), ("oauth2", 500, "", "ambiguous"), ("oauth2", 502, html, "ambiguous"),
        ("oauth2", 503, "", "ambiguous"), ("oauth2", 504, html, "ambiguous"), ("oauth2", 529, "", "ambiguous"),
        ("oauth2", 999, "", "ambiguous"), ("oauth2", 0, "", "ambiguous"), ("oauth2", -1, "", "ambiguous"),
        ("oauth2", 101, "", "ambiguous"),
        // 2xx that do not hold what they should
        ("oauth2", 200, "", "ambiguous"), ("oauth2", 204, "", "ambiguous"), ("oauth2", 200, html, "ambiguous"),
        ("oauth2", 200, "{", "ambiguous"), ("oauth2", 200, "null", "ambiguous"), ("oauth2", 200, "[]", "ambiguous"),
        ("oauth2", 200, "{}", "ambiguous"), ("oauth2", 200, #"{"access_token":"#, "ambiguous"),
        ("oauth2", 200, #"{"access_token":""}"#, "ambiguous"), ("oauth2", 200, #"{"access_token":null}"#, "ambiguous"),
        ("oauth2", 200, #"{"access_token":12}"#, "ambiguous"), ("oauth2", 200, #"{"access_token":["a"]}"#, "ambiguous"),
        ("oauth2", 200, #"{"access_token":"a b"}"#, "ambiguous"),
        ("oauth2", 200, #"{"access_token":"a\r\nX: y"}"#, "ambiguous"),
        ("oauth2", 200, #"{"access_token":"é"}"#, "ambiguous"),
        ("oauth2", 200, #"{"access_token":"a","refresh_token":"b\n"}"#, "ambiguous"),
        ("oauth2", 200, #"{"error":"never_heard_of"}"#, "ambiguous"),
        // Claude
        ("claude", 400, claudeRefusal, "refused"),
        ("claude", 404, #"{"type":"error","error":{"type":"not_found_error","message":"Not found"}}"#, "misconfigured"),
        ("claude", 429, #"{"type":"error","error":{"type":"rate_limit_error","message":"…"}}"#, "throttled"),
        ("claude", 400, #"{"type":"error","error":{"type":"rate_limit_error","message":"…"}}"#, "throttled"),
        ("claude", 400, #"{"type":"error","error":{"type":"invalid_request_error","message":"…"}}"#, "misconfigured"),
        ("claude", 529, #"{"type":"error","error":{"type":"overloaded_error","message":"…"}}"#, "ambiguous"),
        ("claude", 403, html, "throttled"),
        // Google
        (
            "gemini", 400, #"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
            "refused"
        ),
        ("gemini", 400, #"{"error":"invalid_grant","error_description":"Bad Request"}"#, "refused"),
        ("gemini", 400, #"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#, "refused"),
        ("gemini", 400, #"{"error":"invalid_rapt"}"#, "refused"),
        ("gemini", 500, #"{"error":"internal_failure"}"#, "ambiguous"),
        ("gemini", 400, #"{"error":"server_error"}"#, "ambiguous"),
        ("gemini", 503, #"{"error":"temporarily_unavailable"}"#, "ambiguous"),
        ("gemini", 401, #"{"error":"invalid_client"}"#, "misconfigured"),
        // Another code has a say only where the provider's rules know it.
        ("oauth2", 400, #"{"error":{"code":"invalid_grant","type":"invalid_request"}}"#, "refused"),
        ("oauth2", 400, #"{"error":{"code":7,"type":"invalid_grant"}}"#, "refused"),
        ("oauth2", 400, #"{"error":["invalid_grant"]}"#, "misconfigured"),
    ])
    func `answers are classed`(provider: String, status: Int, body: String, expected: String) throws {
        let outcome = try Interpreting()(answer(status, body), provider)
        #expect(outcome.kind == expected, "\(outcome)")
        #expect(outcome.message.contains("HTTP \(status)"))
    }

    @Test func `a provider's own rules come first, and may name the status`() throws {
        let catalog = try readProviders(
            """
            providers:
              p:
                token_url: https://h/
                client_id: c
                errors:
                  refused: [dead, { code: denied, status: 403 }, { status: 410 }]
                  ambiguous: [invalid_grant, { status: 403 }]
            """)
        let client = TokenEndpointClient(
            catalog: catalog, transport: RecordingTransport(.success(.init(status: 200))), time: FixedTime())
        func kind(_ status: Int, _ body: String) throws -> String {
            client.interpret(answer(status, body), provider: try name("p")).kind
        }
        #expect(try kind(400, #"{"error":"dead"}"#) == "refused")
        #expect(try kind(403, #"{"error":"denied"}"#) == "refused")
        #expect(try kind(400, #"{"error":"denied"}"#) == "misconfigured")
        #expect(try kind(410, "") == "refused")
        #expect(try kind(403, "") == "ambiguous")
        #expect(try kind(400, #"{"error":"invalid_grant"}"#) == "ambiguous")
        #expect(try kind(401, #"{"error":"invalid_client"}"#) == "misconfigured")
        #expect(client.interpret(answer(200, "{}"), provider: try name("unknown")).kind == "ambiguous")
    }

    @Test func `the example of RFC 6749 section 5.1`() throws {
        let body = """
            {"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600,
             "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","example_parameter":"example_value"}
            """
        let grant = try #require(try Interpreting()(answer(200, body)).grant)
        #expect(grant.accessToken == Secret("2YotnFZFEjr1zCsicMWpAA"))
        #expect(grant.refreshToken == Secret("tGzv3JOkF0XG5Qx2TlKWIA"))
        #expect(grant.tokenType == "example")
        #expect(grant.expiresAt == requestedAt + .seconds(3600))
    }

    @Test(arguments: ["", #","refresh_token":null"#, #","refresh_token":"""#, #","refresh_token":7"#])
    func `without a refresh token the old one stays`(member: String) throws {
        let grant = try #require(try Interpreting()(answer(200, #"{"access_token":"a"\#(member)}"#)).grant)
        #expect(grant.refreshToken == nil)
    }

    @Test(arguments: [
        (#""bearer""#, "Bearer"), (#""BEARER""#, "Bearer"), (#""DPoP""#, "DPoP"), (#""""#, "Bearer"),
        ("null", "Bearer"),
        ("7", "Bearer"), (#""a b""#, "Bearer"), (#""a\r\nb""#, "Bearer"),
    ])
    func `the token type is fit for a header`(value: String, expected: String) throws {
        let grant = try #require(try Interpreting()(answer(200, #"{"access_token":"a","token_type":\#(value)}"#)).grant)
        #expect(grant.tokenType == expected)
    }

    @Test(
        arguments: [
            // 503 alone may have come after the spend; with Retry-After the server says that it did not take it.
            (503, "120", 120), (429, "120", 120), (429, "0", 0), (429, " 5 ", 5), (429, "99999999999999999999", 86_400),
            (429, "Fri, 15 Jan 2027 08:01:00 GMT", 60), (429, "Friday, 15-Jan-27 08:01:00 GMT", 60),
            (429, "Fri Jan 15 08:01:00 2027", 60), (429, "Fri, 15 Jan 2027 07:59:00 GMT", 0),
            (429, "soon", nil), (429, "-5", nil), (429, "1.5", nil), (429, "", nil), (403, "30", 30),
        ] as [(Int, String, Int?)])
    func `Retry-After is seconds or a date`(status: Int, value: String, seconds: Int?) throws {
        // 1,800,000,000 s is Fri, 15 Jan 2027 08:00:00 GMT.
        let outcome = try Interpreting()(answer(status, "", [("retry-after", value)]))
        #expect(outcome.kind == "throttled")
        #expect(outcome.pause == seconds.map { .seconds($0) })
    }

    @Test func `a date counts from the answer's own clock`() throws {
        let headers = [
            ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT"),
        ]
        #expect(try Interpreting()(answer(503, "", headers)).pause == .seconds(30))
        #expect(try Interpreting()(answer(503, "", [("Retry-After", "soon")])).kind == "ambiguous")
    }

    @Test func `messages say what happened and hold no token`() throws {
        let interpret = try Interpreting()
        #expect(
            try interpret(answer(400, Self.claudeRefusal), "claude").message
                == "HTTP 400 invalid_grant: Refresh token not found or invalid")
        #expect(try interpret(answer(401, Self.html)).message == "HTTP 401 with a body that is not a JSON object")
        #expect(try interpret(answer(502, "")).message == "HTTP 502 with an empty body")
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
        for description in [
            "bad token \(token)", "'\(token)'", "token=\(token)&x", "s3cr3t-value", "a s3cr3t-value b",
            String(repeating: "x ", count: 70) + token,
        ] {
            let message = try interpret(
                answer(400, #"{"error":"invalid_grant","error_description":"\#(description)"}"#)
            ).message
            #expect(!message.contains("eyJ") && !message.contains("s3cr3t") && !message.contains("c2lnb"), "\(message)")
            #expect(message.count < 220)
        }
        for code in [token, "s3cr3t-value", "line\\nbreak", String(repeating: "x", count: 5000)] {
            let message = try interpret(answer(400, #"{"error":"\#(code)"}"#)).message
            #expect(message == "HTTP 400 (an error code that is not shown)")
        }
        let line = try interpret(answer(400, #"{"error":"x","error_description":"a\nb\u001b[31m\u202ec"}"#)).message
        #expect(line == "HTTP 400 x: a b [31m c")
        let hidden = try interpret(answer(200, #"{"error":"invalid_grant","error_description":"\#(token)"}"#)).message
        #expect(hidden == "HTTP 200 without an access token, error invalid_grant")
    }
}
