import Providers
import RefreshCore
import Testing

/// The same words mean other things in an answer of the API than at the token endpoint.
struct APIPhaseTests {
    @Test(
        arguments: [
            ("oauth2", 401, "", [:], "refresh"), ("oauth2", 403, "", [:], "none"), ("oauth2", 200, "{}", [:], "none"),
            ("oauth2", 400, "", ["WWW-Authenticate": #"Bearer error="invalid_token""#], "refresh"),
            ("oauth2", 403, "", ["www-authenticate": #"Bearer error="insufficient_scope""#], "none"),
            ("oauth2", 429, "", [:], "throttle"),
            ("client_credentials", 401, "", [:], "refresh"), ("jwt_bearer", 401, "", [:], "refresh"),
            (
                "claude", 401,
                #"{"type":"error","error":{"type":"authentication_error","details":{"error_code":"token_expired"}}}"#,
                [:],
                "refresh"
            ),
            (
                "claude", 403, #"{"type":"error","error":{"message":"OAuth access token has been revoked."}}"#, [:],
                "refresh"
            ),
            ("claude", 403, #"{"type":"error","error":{"type":"permission_error"}}"#, [:], "none"),
            ("claude", 429, #"{"type":"error","error":{"type":"rate_limit_error"}}"#, [:], "throttle"),
            ("gemini", 401, #"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#, [:], "refresh"),
            ("gemini", 429, #"{"error":{"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded"}}"#, [:], "quota"),
            ("gemini", 403, #"{"error":{"status":"PERMISSION_DENIED"}}"#, [:], "none"),
            ("openai", 401, #"{"error":{"code":"token_expired"}}"#, [:], "refresh"),
            ("openai", 429, #"{"error":{"code":"insufficient_quota"}}"#, [:], "quota"),
            ("openai", 429, #"{"error":{"code":"rate_limit_exceeded"}}"#, [:], "throttle"),
            (
                "pixiv", 400,
                #"{"error":{"message":"Error occurred at the OAuth process. Please check your Access Token to fix this. Error Message: invalid_grant"}}"#,
                [:], "refresh"
            ),
            ("pixiv", 403, #"{"error":{"user_message":"unauthorized"}}"#, [:], "refresh"),
            ("pixiv", 403, #"{"error":{"message":"Rate Limit"}}"#, [:], "throttle"),
            ("pixiv", 404, #"{"error":{"user_message":"gone"}}"#, [:], "none"),
            ("warp", 401, "User not in context: Not found", [:], "refresh"),
            ("warp", 429, #"{"error":"No remaining quota: No AI requests remaining"}"#, [:], "quota"),
            ("warp", 429, "slow down", [:], "throttle"),
            ("intranet", 200, #"{"code":40003,"msg":"token expired"}"#, [:], "refresh"),
            ("intranet", 200, #"{"code":0,"data":{}}"#, [:], "none"),
            ("intranet", 200, #"{"errcode":42001,"errmsg":"access_token expired"}"#, [:], "refresh"),
            ("intranet", 200, #"{"errcode":45009}"#, [:], "none"),
        ] as [(String, Int, String, [String: String], String)])
    func presets(preset: String, status: Int, body: String, headers: [String: String], expected: String) throws {
        let definition = try #require(try presetCatalog()[name(preset)])
        let answer = ProviderAnswer(
            status: status, headers: headers.map { RawTokenResponse.Header(name: $0.key, value: $0.value) },
            body: Array(body.utf8), mapping: definition.response)
        #expect(definition.errors.classify(answer, now: requestedAt).meaning.rawValue == expected)
    }

    @Test func theVerdictSaysWhichRuleAndForHowLong() throws {
        let definition = try #require(try presetCatalog()[name("warp")])
        let answer = ProviderAnswer(
            status: 429, headers: [.init(name: "Retry-After", value: "30")], body: Array("No remaining quota".utf8))
        #expect(
            definition.errors.classify(answer, now: requestedAt)
                == APIVerdict(meaning: .quota, rule: 0, retryAfter: .seconds(30)))
        let fine = ProviderAnswer(status: 200, headers: [], body: [])
        #expect(definition.errors.classify(fine, now: requestedAt) == APIVerdict(meaning: .none))
    }

    /// What cannot matter need not be held back while it streams.
    @Test func whatABodyIsNeededFor() throws {
        let catalog = try presetCatalog()
        let warp = try #require(catalog[name("warp")]).errors
        #expect(warp.apiInterest(status: 200) == (false, false))
        #expect(warp.apiInterest(status: 429) == (true, true))
        let intranet = try #require(catalog[name("intranet")]).errors
        #expect(intranet.apiInterest(status: 200) == (true, true))
        let claude = try #require(catalog[name("claude")]).errors
        #expect(claude.apiInterest(status: 529) == (true, false))
    }
}
