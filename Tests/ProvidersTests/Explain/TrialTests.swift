import CurlClient
import Providers
import RefreshCore
import Testing

struct TrialTests {
    @Test func theRequestIsShownWithoutItsSecrets() throws {
        let yaml = """
            providers:
              p:
                preset: pixiv
                client_id: c
                client_secret: hunter2
                vars: { hash_secret: hunter3 }
                headers: { X-Key: hunter4 }
              w: { preset: warp, token_url: https://h/t, vars: { key: hunter1 } }
            """
        let catalog = try readProviders(yaml)
        let pixiv = try #require(catalog[name("p")])
        let credential = AccountCredential.refreshToken(Secret("hunter-token"))
        let request = try ProviderTrial(pixiv, credential, moment: requestedAt).maskedRequest()
        #expect(
            request.body
                == "grant_type=refresh_token&refresh_token=***&client_id=c&client_secret=***&get_secure_url=1")
        let headers = Dictionary(uniqueKeysWithValues: request.headers.map { ($0.name, $0.value) })
        #expect(headers["X-Client-Time"] == "2027-01-15T08:00:00+00:00")
        #expect(headers["X-Client-Hash"] == "***")
        #expect(headers["X-Key"] == "***")
        let warp = try ProviderTrial(try #require(catalog[name("w")]), credential, moment: requestedAt).maskedRequest()
        #expect(warp.url == "https://h/t?key=***")
    }

    @Test func everyPresetShowsARequestWithoutSecrets() throws {
        for definition in try presetCatalog().definitions {
            let names = definition.accountFields ?? []
            let credential: AccountCredential =
                definition.accountFields == nil
                ? .refreshToken(Secret("s3cret-refresh"))
                : .fields(AccountFields(Dictionary(uniqueKeysWithValues: names.map { ($0, Secret("s3cret-\($0)")) })))
            let request = try ProviderTrial(definition, credential, moment: requestedAt).maskedRequest()
            let text = request.url + request.headers.map { $0.name + $0.value }.joined() + (request.body ?? "")
            for secret in ["s3cret", "-secret", "pixiv-hash", "warp-key", "eyJ"] {
                #expect(!text.contains(secret), "\(definition.name): \(text)")
            }
        }
    }

    @Test func whatIsShownIsWhatIsSent() async throws {
        let yaml = """
            providers:
              p: { token_url: https://h/, client_id: c, headers: { X-Id: "{{ uuid }}", X-Time: "{{ now.milliseconds }}" } }
            """
        let definition = try #require(try readProviders(yaml)[name("p")])
        let transport = RecordingTransport(.success(CurlResponse(status: 200)))
        let trial = ProviderTrial(definition, .refreshToken(ProviderTrial.invalidToken), moment: requestedAt)
        let shown = try trial.maskedRequest()
        _ = try await trial.send(over: transport)
        let sent = try #require(transport.request)
        for name in ["X-Id", "X-Time"] {
            #expect(shown.headers.first { $0.name == name }?.value == sent.headers.first { $0.name == name }?.value)
        }
        #expect(sent.singleSend)
    }

    @Test func itLeavesThroughTheProxyOfTheProvider() async throws {
        let yaml = "providers: { p: { token_url: https://h/, client_id: c, proxy: \"http://proxy.example:3128\" } }"
        let definition = try #require(try readProviders(yaml)[name("p")])
        let transport = RecordingTransport(.success(CurlResponse(status: 200)))
        let trial = ProviderTrial(definition, .refreshToken(ProviderTrial.invalidToken), moment: requestedAt)
        _ = try await trial.send(over: transport)
        #expect(transport.request?.proxy?.url.contains("proxy.example:3128") == true)
    }

    private func explain(_ preset: String, _ status: Int, _ body: String, _ headers: [(String, String)] = []) throws
        -> AnswerExplanation
    {
        try #require(try presetCatalog()[name(preset)]).explain(answer(status, body, headers))
    }

    @Test func eachRuleSaysWhyItDoesNotApply() throws {
        let found = try explain("pixiv", 400, #"{"error":"invalid_client","errors":{"system":{"code":7}}}"#)
        #expect(found.outcome == "misconfigured")
        #expect(
            found.steps.map { "\($0.applies) \($0.text) \($0.meaning ?? "") \($0.reason)" } == [
                "false HTTP 429 is throttled, whatever rules say throttled HTTP 400",
                "false HTTP 503 with Retry-After is throttled, whatever rules say throttled HTTP 400, no Retry-After",
                "false /errors/system/code=1508@400|401 refused at /errors/system/code there is nothing, or something else",
                "false invalid_grant refused the error code is invalid_client",
                "true invalid_client|unauthorized_client|invalid_request|unsupported_grant_type misconfigured everything it asks for holds",
            ])
        #expect(try explain("pixiv", 400, #"{"errors":{"system":{"code":1508}}}"#).outcome == "refused")
        #expect(try explain("pixiv", 403, "").steps.last?.text == "empty body@403")
        #expect(
            try explain("oauth2", 500, #"{"error":"invalid_grant"}"#).steps.contains {
                !$0.applies && $0.reason.contains("says nothing for certain")
            })
        #expect(try explain("oauth2", 418, "").steps.last?.reason == "HTTP 418 alone says so")
        #expect(try explain("oauth2", 429, "").steps.filter { $0.applies }.map(\.meaning) == ["throttled"])
        #expect(
            try explain("oauth2", 503, "", [("Retry-After", "30")]).message == "HTTP 503 with an empty body, for 30 s")
    }

    @Test func aGrantSaysWhereItsPartsCameFrom() throws {
        let found = try explain(
            "pixiv", 200,
            #"{"response":{"access_token":"s3cret-access","expires_in":60,"refresh_token":"s3cret-r","refresh_expires_in":1}}"#
        )
        #expect(found.outcome == "rotated")
        let text = found.steps.map { "\($0.text): \($0.reason)" }
        #expect(text.contains("access token at /response/access_token or /access_token: 13 bytes, sent as Bearer"))
        #expect(text.contains("refresh token at /response/refresh_token or /refresh_token: 8 bytes"))
        #expect(text.contains("the access token ends: 2027-01-15T08:01:00Z, from /response/expires_in"))
        #expect(!text.joined().contains("s3cret"))
        let bare = try explain("oauth2", 200, #"{"access_token":"a"}"#)
        #expect(bare.steps.contains { $0.reason == "none: the old one stays in use" && !$0.applies })
        #expect(bare.steps.contains { $0.reason.hasSuffix("from default_lifetime") })
        #expect(try explain("oauth2", 200, "<html>").steps.first?.reason == "it is not (6 bytes)")
        #expect(try explain("oauth2", 200, #"{"error":"invalid_grant"}"#).outcome == "refused")
    }
}
