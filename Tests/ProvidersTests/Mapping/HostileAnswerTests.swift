import Providers
import RefreshCore
import Testing

/// Answers of any shape are classed, and none of them reaches a header or a log.
struct HostileAnswerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var title: String
        var body: [UInt8]
        var headers: [(String, String)] = [("Content-Type", "application/json")]

        init(_ title: String, _ body: String, _ headers: [(String, String)] = []) {
            self.title = title
            self.body = Array(body.utf8)
            self.headers += headers
        }

        init(_ title: String, bytes: [UInt8]) {
            self.title = title
            body = bytes
        }

        var testDescription: String { title }
    }

    private static func nested(_ depth: Int) -> String {
        String(repeating: #"{"a":["#, count: depth) + String(repeating: "]}", count: depth)
    }

    static let cases: [Case] = [
        Case("empty", ""), Case("blanks", " \r\n\t"),
        Case("HTML", "<!doctype html><html><body>Just a moment…</body></html>"),
        Case("HTML that says JSON", "<html>access_token</html>", [("content-type", "text/html")]),
        Case("plain text", "access_token=abc&refresh_token=def"), Case("an array", #"["access_token","a"]"#),
        Case("a text", #""access_token""#), Case("a number", "12"), Case("null", "null"),
        Case("cut off", #"{"access_token":"abc"#),
        Case("two documents", #"{"access_token":"a"}{"access_token":"b"}"#),
        Case("XML", "<access_token>a</access_token>"),
        Case(
            "token with a line break", #"{"access_token":"s3cret-token-1\nX: y","data":{"token":"s3cret-token-1\n"}}"#),
        Case("token with NUL", #"{"access_token":"s3cret-token-1\u0000","data":{"token":"s3cret-token-1\u0000"}}"#),
        Case("empty token", #"{"access_token":"","data":{"token":""}}"#), Case("null token", #"{"access_token":null}"#),
        Case("token in a list", #"{"access_token":["s3cret-token-1"]}"#),
        Case("numeric token", #"{"access_token":123}"#),
        Case("no character", #"{"access_token":"\ud800","data":{"token":"\ud800"}}"#),
        Case("deep", "{\"access_token\":\(nested(200))}"), Case("bytes", bytes: (0...255).map { UInt8($0) }),
        Case("a megabyte of [", bytes: [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)),
        Case(
            "10 MB cut by the limit",
            bytes: Array(#"{"access_token":"#.utf8) + [UInt8](repeating: 0x61, count: 10 << 20)),
        Case("UTF-16", bytes: Array(#"{"access_token":"a"}"#.utf8).flatMap { [0, $0] }),
        Case("an error that is an object of objects", #"{"error":{"code":{"code":{}},"type":[]}}"#),
        Case("an error with a token in its code", #"{"error":"s3cret-token-1-s3cret-token-1-0"}"#),
        Case("a header in the description", #"{"error":"nope","error_description":"a\r\nSet-Cookie: b"}"#),
    ]

    @Test(arguments: cases) func areClassed(answer hostile: Case) throws {
        let catalog = try presetCatalog()
        for definition in catalog.definitions {
            for status in [200, 204, 302, 400, 401, 403, 404, 429, 500, 503] {
                let response = RawTokenResponse(
                    status: status, headers: hostile.headers.map { .init(name: $0.0, value: $0.1) }, body: hostile.body,
                    requestedAt: requestedAt)
                let outcome = try #require(catalog.interpret(response, provider: definition.name))
                let expected: Set<String> =
                    switch status {
                    case 200, 204, 500, 503: ["ambiguous"]
                    case 429: ["throttled"]
                    // Pixiv's with an empty body passes by itself.
                    case 403: ["throttled", "misconfigured", definition.preset == "pixiv" ? "ambiguous" : "throttled"]
                    default: ["misconfigured"]
                    }
                #expect(expected.contains(outcome.kind), "\(definition.name) \(status): \(outcome)")
                #expect(!outcome.message.contains("s3cret"), "\(outcome.message)")
                #expect(outcome.message.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F })
                #expect(outcome.message.count < 300)
                // To explain it is as safe as to read it, and comes to the same.
                let explanation = definition.explain(response)
                #expect(explanation.outcome == outcome.kind)
                let text = explanation.steps.map { $0.text + $0.reason }.joined() + explanation.message
                #expect(!text.contains("s3cret") && !text.contains("\n"), "\(text)")
                _ = definition.errors.classify(
                    ProviderAnswer(status: status, headers: response.headers, body: hostile.body), now: requestedAt)
            }
        }
    }

    @Test(arguments: [
        #""expires_in":-1"#, #""expires_in":"NaN""#, #""expires_in":1e999"#, #""expires_in":-1e999"#,
        #""expires_in":{}"#,
        #""expires_in":"-inf""#, #""expires_in":99999999999999999999999999"#, #""expires_at":-1"#,
        #""expires_at":"0000-00-00T00:00:00Z""#, #""expires_at":1e300"#, #""refresh_expires_in":-1e300"#,
    ]) func timesThatAreNoneStillLeaveAToken(members: String) throws {
        let catalog = try presetCatalog()
        for definition in catalog.definitions {
            let body = #"{"access_token":"a","data":{"token":"a"},\#(members)}"#
            let grant = try #require(catalog.interpret(answer(200, body), provider: definition.name)?.grant)
            #expect(grant.expiresAt > requestedAt)
            #expect(grant.expiresAt <= requestedAt + .seconds(10 * 366 * 86_400))
            #expect((grant.grantExpiresAt ?? requestedAt) >= requestedAt)
        }
    }
}
