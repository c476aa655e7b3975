import JSONText
import RefreshCore
import Testing

@testable import Providers

struct RuleTests {
    private func rules(_ yaml: String) throws -> ErrorRules {
        let catalog = try readProviders(
            """
            providers:
              p:
                token_url: https://h/
                client_id: c
                errors:
                  token: [\(yaml)]
            """)
        return try #require(catalog[name("p")]).errors
    }

    private func answer(
        _ status: Int, _ body: String, _ headers: [String: String] = [:]
    ) -> ProviderAnswer {
        ProviderAnswer(
            status: status, headers: headers.map { RawTokenResponse.Header(name: $0.key, value: $0.value) },
            body: Array(body.utf8))
    }

    @Test(
        arguments: [
            ("status: 400", 400, "", true), ("status: 400", 401, "", false), ("status: 4xx", 499, "", true),
            ("status: 4xx", 500, "", false), ("status: [400, 500-502]", 502, "", true),
            ("status: [400, 500-502]", 503, "", false),
            ("code: gone", 400, #"{"error":"gone"}"#, true),
            ("code: [a, gone]", 400, #"{"error":{"type":"gone"}}"#, true),
            ("code: gone", 400, #"{"error":"other"}"#, false), ("code: gone", 400, "gone", false),
            ("json: { /errors/0/code: 7 }", 400, #"{"errors":[{"code":7}]}"#, true),
            ("json: { /errors/0/code: 7 }", 400, #"{"errors":[{"code":"7"}]}"#, true),
            ("json: { /errors/0/code: 7 }", 400, #"{"errors":[{"code":8}]}"#, false),
            ("json: { /a: [x, y] }", 400, #"{"a":"y"}"#, true), ("json: { /a: true }", 400, #"{"a":true}"#, true),
            ("json: { /a: }", 400, #"{"a":{}}"#, true), ("json: { /a: }", 400, #"{"a":null}"#, false),
            ("json: { /a: { matches: ^x } }", 400, #"{"a":"Xyz"}"#, true),
            ("json: { /a: { matches: ^x } }", 400, #"{"a":"yx"}"#, false),
            ("json: { /a: 1, /b: 2 }", 400, #"{"a":1,"b":3}"#, false),
            ("contains: Rate Limit", 400, "the rate LIMIT is", true), ("contains: [a b, c]", 400, "xcx", true),
            ("contains: rate", 400, "rat", false), ("matches: '[0-9]+ left'", 400, "12 left", true),
            ("matches: '[0-9]+ left'", 400, "none left", false), ("body: empty", 400, " \r\n", true),
            ("body: empty", 400, "x", false), ("body: present", 400, "x", true), ("body: present", 400, "", false),
            ("header: { X-A: ^b }", 400, "", true), ("header: { x-a: z }", 400, "", false),
            ("header: { X-A: }", 400, "", true),
            ("header: { X-B: }", 400, "", false), ("status: 400, contains: x, body: present", 400, "x", true),
            ("status: 400, contains: x", 401, "x", false),
        ] as [(String, Int, String, Bool)])
    func conditions(conditions: String, status: Int, body: String, expected: Bool) throws {
        let rule = try #require(try rules("{ \(conditions), class: throttled }").token.rules.first)
        let list = RuleList([rule])
        let given = answer(status, body, ["X-A": "bcd"])
        #expect((list.match(given) == rule) == expected)
        let looked = list.examine(given)
        #expect((looked.first?.mismatch == nil) == expected)
    }

    @Test func theFirstThatAppliesDecides() throws {
        let rules = try rules(
            "{ status: 400, contains: x, class: throttled }, { status: 400, class: ambiguous }, { code: a, class: refused }"
        ).token
        #expect(rules.match(answer(400, "x"))?.meaning == .throttled)
        #expect(rules.match(answer(400, #"{"error":"a"}"#))?.meaning == .ambiguous)
        #expect(rules.match(answer(401, #"{"error":"a"}"#))?.meaning == .refused)
        #expect(rules.match(answer(401, "")) == nil)
        // Those of the preset follow.
        #expect(rules.match(answer(401, #"{"error":"invalid_grant"}"#))?.meaning == .refused)
    }

    @Test func ofSeveralCodesTheMostTellingKnownOneCounts() throws {
        let rules = try rules("{ code: outer, class: throttled }, { code: inner, class: refused }").token
        #expect(rules.match(answer(400, #"{"error":{"code":"inner","type":"outer"}}"#))?.meaning == .refused)
        #expect(rules.match(answer(400, #"{"error":{"code":"unknown","type":"outer"}}"#))?.meaning == .throttled)
    }

    @Test(arguments: [
        // What covers what.
        ("{ status: 4xx, class: throttled }, { status: 400, class: refused }", true),
        ("{ status: 400, class: throttled }, { status: 4xx, class: refused }", false),
        ("{ status: 400, class: throttled }, { status: 400, class: throttled }", true),
        ("{ code: [a, b], class: throttled }, { code: b, status: 400, class: refused }", true),
        ("{ code: a, class: throttled }, { code: [a, b], class: refused }", false),
        ("{ contains: [x, y], class: throttled }, { contains: y, status: 400, class: refused }", true),
        ("{ contains: x, class: throttled }, { contains: y, class: refused }", false),
        ("{ json: { /a: }, class: throttled }, { json: { /a: 1 }, class: refused }", true),
        ("{ json: { /a: [1, 2] }, class: throttled }, { json: { /a: 2, /b: 1 }, class: refused }", true),
        ("{ json: { /a: 1 }, class: throttled }, { json: { /b: 1 }, class: refused }", false),
        ("{ header: { A: }, class: throttled }, { header: { A: x }, class: refused }", true),
        ("{ header: { A: x }, class: throttled }, { header: { A: y }, class: refused }", false),
        ("{ matches: x, class: throttled }, { matches: x, body: present, class: refused }", true),
        ("{ body: present, class: throttled }, { body: empty, class: refused }", false),
    ]) func aRuleThatIsNeverReachedIsRefused(list: String, isRefused: Bool) {
        let yaml =
            "providers:\n  p:\n    token_url: https://h/\n    client_id: c\n    errors:\n      token: [\(list)]\n"
        let issues = providerIssues(yaml)
        #expect(
            issues.contains { $0.contains("errors.token[1]: is never reached: providers.p.errors.token[0] (p.yaml:6:") }
                == isRefused)
        #expect(issues.isEmpty != isRefused, "\(issues)")
    }

    @Test(arguments: [
        ("token: [x]", "errors.token[0]: has to be a mapping: write { code: x, class: refused }"),
        (
            "token: [{ status: 400 }]",
            "errors.token[0]: needs class: one of refused, misconfigured, throttled, ambiguous"
        ),
        ("token: [{ status: 400, class: dead }]", "errors.token[0].class: \"dead\" is not one of refused"),
        ("token: [{ class: refused }]", "errors.token[0]: needs a code, a status or another condition"),
        ("token: [{ status: 40, class: refused }]", "errors.token[0].status: \"40\" is no HTTP status"),
        ("token: [{ status: 600, class: refused }]", "errors.token[0].status: \"600\" is no HTTP status"),
        ("token: [{ status: 500-400, class: refused }]", "errors.token[0].status: \"500-400\" is no HTTP status"),
        ("token: [{ status: 429, class: refused }]", "errors.token[0]: never decides: 429 always means throttled"),
        ("token: [{ matches: '(', class: refused }]", "errors.token[0].matches: is not a regular expression"),
        (
            "token: [{ header: { 'a b': x }, class: refused }]",
            "errors.token[0].header.a b: is not the name of a header"
        ),
        ("token: [{ json: { error: x }, class: refused }]", "errors.token[0].json.error: can never match"),
        ("token: [{ json: { /a~x: x }, class: refused }]", "errors.token[0].json./a~x: has a ~ that is neither"),
        ("token: [{ json: { /a: { is: x } }, class: refused }]", "errors.token[0].json./a: needs matches"),
        ("token: [{ body: empty, contains: x, class: refused }]", "errors.token[0].body: is empty here"),
        ("token: [{ body: none, class: refused }]", "errors.token[0].body: \"none\" is not one of empty, present"),
        (
            "token: [{ stauts: 400, code: a, class: refused }]",
            "errors.token[0].stauts: unknown key; did you mean status?"
        ),
        (
            "api: [{ status: 400, class: refused }]",
            "errors.api[0].class: \"refused\" is not one of refresh, quota, throttle, none"
        ),
        ("api: [{ status: 400 }]", "errors.api[0]: needs class"),
        ("refused: [{ status: 429 }]", "errors.refused[0]: never decides"),
        ("refused: [{ contains: x, status: 400, class: refused }]", "errors.refused[0].class: unknown key"),
    ]) func mistakesNameTheRule(errors: String, expected: String) {
        let yaml = "providers:\n  p:\n    token_url: https://h/\n    client_id: c\n    errors: { \(errors) }\n"
        let issues = providerIssues(yaml)
        #expect(issues.contains { $0.contains("providers.p.\(expected)") && $0.hasPrefix("p.yaml:5:") }, "\(issues)")
    }

    @Test func aListOfTheConfigurationMayRepeatThePreset() throws {
        let rules = try rules("{ code: invalid_grant, class: refused }").token.rules
        #expect(rules.filter { $0 == ErrorRule(.refused, code: "invalid_grant") }.count == 1)
    }
}
