import Providers
import RefreshCore
import Testing

/// What the token endpoints of the presets answer, and what it means.
struct TokenPhaseTests {
    private static func firebase(_ message: String, code: Int = 400) -> String {
        #"{"error":{"code":\#(code),"message":"\#(message)","status":"INVALID_ARGUMENT"}}"#
    }

    private static let pixivDead =
        #"{"has_error":true,"errors":{"system":{"message":"Invalid refresh token","code":1508}},"error":"invalid_grant"}"#

    @Test(arguments: [
        (
            "openai", 400, #"{"error":{"message":"…","type":"invalid_request_error","code":"refresh_token_reused"}}"#,
            "refused"
        ),
        ("openai", 401, #"{"error":{"code":"refresh_token_invalidated"}}"#, "refused"),
        ("openai", 401, #"{"error":{"code":"refresh_token_expired"}}"#, "refused"),
        ("openai", 401, #"{"error":{"code":"token_expired"}}"#, "refused"),
        ("openai", 400, #"{"error":"invalid_grant"}"#, "refused"),
        ("openai", 401, #"{"error":{"code":"something_else"}}"#, "misconfigured"),
        ("openai", 401, #"{"error":"invalid_client"}"#, "misconfigured"),
        ("openai", 400, #"{"error":{"type":"invalid_request_error","code":null}}"#, "misconfigured"),
        ("openai", 500, #"{"error":{"code":"token_expired"}}"#, "ambiguous"), ("openai", 403, "<html>", "throttled"),
        ("pixiv", 400, pixivDead, "refused"),
        ("pixiv", 400, #"{"has_error":true,"errors":{"system":{"code":1508}}}"#, "refused"),
        ("pixiv", 403, "", "ambiguous"), ("pixiv", 403, "<html>Cloudflare</html>", "throttled"),
        ("pixiv", 400, #"{"errors":{"system":{"message":"Rate Limit","code":9}}}"#, "throttled"),
        ("pixiv", 400, #"{"error":"invalid_client"}"#, "misconfigured"), ("pixiv", 502, pixivDead, "ambiguous"),
        ("warp", 400, firebase("TOKEN_EXPIRED"), "refused"),
        ("warp", 400, firebase("INVALID_REFRESH_TOKEN"), "refused"),
        ("warp", 400, firebase("USER_DISABLED"), "refused"),
        ("warp", 400, firebase("USER_NOT_FOUND : gone"), "refused"),
        ("warp", 400, firebase("API key not valid. Please pass a valid API key."), "misconfigured"),
        ("warp", 400, firebase("TOO_MANY_ATTEMPTS_TRY_LATER"), "throttled"),
        ("warp", 400, firebase("MISSING_REFRESH_TOKEN"), "misconfigured"),
        ("warp", 503, firebase("USER_DISABLED"), "ambiguous"), ("warp", 429, "", "throttled"),
        // A client that is not let in is nobody's account.
        ("client_credentials", 401, #"{"error":"invalid_client"}"#, "misconfigured"),
        ("client_credentials", 400, #"{"error":"invalid_grant"}"#, "misconfigured"),
        ("client_credentials", 200, #"{"access_token":"a","refresh_token":"r"}"#, "rotated"),
        ("jwt_bearer", 400, #"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#, "refused"),
        ("intranet", 200, #"{"code":1001,"message":"wrong password"}"#, "ambiguous"),
        ("intranet", 401, "", "misconfigured"),
        ("intranet", 403, "<html>", "throttled"), ("intranet", 200, #"{"data":{"token":"t"}}"#, "rotated"),
        ("gemini", 400, #"{"error":"invalid_grant","error_description":"Bad Request"}"#, "refused"),
        ("claude", 404, #"{"type":"error","error":{"type":"not_found_error"}}"#, "misconfigured"),
    ]) func presets(preset: String, status: Int, body: String, expected: String) throws {
        let outcome = try #require(try presetCatalog().interpret(answer(status, body), provider: try name(preset)))
        #expect(outcome.kind == expected, "\(outcome)")
    }

    /// What a wrong password is, only the configuration knows.
    @Test func aLogInHasItsOwnRefusals() throws {
        let catalog = try readProviders(
            """
            providers:
              i:
                preset: intranet
                token_url: https://h/login
                response: { access_token: /data/token }
                errors: { token: [{ status: 200, json: { /code: [1001, 1002] }, class: refused }] }
            """)
        func kind(_ body: String) throws -> String? {
            catalog.interpret(answer(200, body), provider: try name("i"))?.kind
        }
        #expect(try kind(#"{"code":1001,"message":"wrong password"}"#) == "refused")
        #expect(try kind(#"{"code":9,"message":"maintenance"}"#) == "ambiguous")
        // Tokens are tokens, whatever stands beside them.
        #expect(try kind(#"{"code":1001,"data":{"token":"t"}}"#) == "rotated")
    }
}
