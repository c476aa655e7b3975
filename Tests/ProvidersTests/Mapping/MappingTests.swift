import Providers
import RefreshCore
import Testing

/// Values are found where the definition says they stand.
struct MappingTests {
    private func grant(_ response: String, _ body: String, isReplay: Bool = false) throws -> ExchangeOutcome {
        let catalog = try readProviders(
            "providers: { p: { token_url: https://h/, client_id: c, response: { \(response) } } }")
        var raw = answer(200, body)
        raw.isReplay = isReplay
        return try #require(catalog.interpret(raw, provider: try name("p")))
    }

    @Test func placesAreAlternatives() throws {
        let mapping = "access_token: [/data/token, /token], refresh_token: /data/list/0/r, token_type: /kind"
        let first = try #require(
            try grant(mapping, #"{"data":{"token":"a","list":[{"r":"b"}]},"kind":"DPoP","refresh_token":"x"}"#).grant)
        #expect(first.accessToken == Secret("a"))
        #expect(first.refreshToken == Secret("b"))
        #expect(first.tokenType == "DPoP")
        let second = try #require(try grant(mapping, #"{"data":{"token":7},"token":"c"}"#).grant)
        #expect(second.accessToken == Secret("c"))
        #expect(second.refreshToken == nil)
        #expect(try grant(mapping, #"{"access_token":"a"}"#).kind == "ambiguous")
    }

    private static let tenYears = 10.0 * 366 * 86_400

    @Test(
        arguments: [
            ("expires_in: /ttl", #""ttl":60"#, 60),
            ("expires_in: { pointer: /ttl, unit: milliseconds }", #""ttl":"60000""#, 60),
            ("expires_in: [/a, { pointer: /b, unit: milliseconds }]", #""a":"soon","b":5000"#, 5),
            ("expires_in: [/a, /b]", #""a":-1,"b":5"#, 5), ("expires_in: /ttl", #""ttl":true"#, 3600),
            ("expires_in: /ttl", #""ttl":1e999"#, 3600), ("expires_in: /ttl", #""ttl":1e300"#, tenYears),
            ("expires_in: []", #""expires_in":60"#, 3600),
            ("expires_at: { pointer: /e, unit: seconds }", #""e":1800000060"#, 60),
            ("expires_at: { pointer: /e, unit: seconds }", #""e":"2027-01-15T08:01:00Z""#, 3600),
            ("expires_at: { pointer: /e, unit: milliseconds }", #""e":"1800000060000""#, 60),
            ("expires_at: { pointer: /e, unit: iso8601 }", #""e":"2027-01-15T08:01:00Z""#, 60),
            ("expires_at: { pointer: /e, unit: iso8601 }", #""e":1800000060"#, 3600),
            ("expires_at: /e", #""e":"2027-01-15T08:01:00Z""#, 60), ("expires_at: /e", #""e":1800000060000"#, 60),
            // {"exp":1800000300}
            ("expires_at: { pointer: /id, unit: jwt }", #""id":"a.eyJleHAiOjE4MDAwMDAzMDB9.c""#, 300),
            ("expires_in: /ttl, expires_at: /e", #""ttl":"nan","e":1800000060"#, 60),
        ] as [(String, String, Double)])
    func timesHaveUnits(mapping: String, members: String, expected: Double) throws {
        let grant = try #require(try grant(mapping, #"{"access_token":"a",\#(members)}"#).grant)
        #expect((grant.expiresAt - requestedAt).inSeconds == expected)
    }

    @Test(
        arguments: [
            (#""refresh_expires_in":600"#, 600), (#""refresh_token_expires_in":"600""#, 600),
            (#""refresh_expires_at":1800000600"#, 600), (#""refresh_expires_in":0"#, nil),
            (#""refresh_expires_in":-5,"refresh_expires_at":"2027-01-15T08:01:00Z""#, 60),
            (#""refresh_expires_in":"never""#, nil), (#""refresh_expires_in":1e300"#, nil), (#""x":1"#, nil),
            (#""refresh_expires_at":1700000000"#, nil),
        ] as [(String, Double?)])
    func theEndOfTheGrant(members: String, expected: Double?) throws {
        let grant = try #require(try grant("token_type: /token_type", #"{"access_token":"a",\#(members)}"#).grant)
        #expect(grant.grantExpiresAt.map { ($0 - requestedAt).inSeconds } == expected)
    }

    @Test(arguments: [(#""ttl":0"#, 0.0), (#""ttl":"-7""#, 0), (#""ttl":7000"#, 7), (#""e":1799999990"#, -10)])
    func theAnswerToAResendIsTakenAtItsWord(members: String, expected: Double) throws {
        let mapping = "expires_in: { pointer: /ttl, unit: milliseconds }, expires_at: /e"
        let body = #"{"access_token":"a",\#(members)}"#
        let grant = try #require(try grant(mapping, body, isReplay: true).grant)
        #expect((grant.expiresAt - requestedAt).inSeconds == expected)
    }

    @Test(arguments: [
        (
            "access_token: token",
            "response.access_token: \"token\" can never match: a JSON pointer begins with /; write /token"
        ),
        ("access_token: [/a, b]", "response.access_token: \"b\" can never match"),
        ("access_token: /a~", "response.access_token: \"/a~\" has a ~"),
        ("expires_in: { pointer: /a, unit: weeks }", "response.expires_in.unit: \"weeks\" is not one of seconds"),
        ("expires_in: { unit: seconds }", "response.expires_in: needs pointer"),
        ("expires_in: { pointer: /a, unit: iso8601 }", "response.expires_in.unit: is for a point in time"),
        ("expires_in: [{ pointer: a }]", "response.expires_in[0].pointer: \"a\" can never match"),
        ("acess_token: /a", "response.acess_token: unknown key; did you mean access_token?"),
        ("access_token: { pointer: /a }", "response.access_token: has to be a single value"),
    ]) func mistakesNameThePlace(response: String, expected: String) {
        let issues = providerIssues(
            "providers:\n  p:\n    token_url: https://h/\n    client_id: c\n    response: { \(response) }\n")
        #expect(
            issues.contains { $0.hasPrefix("p.yaml:5:") && $0.contains("providers.p.\(expected)") }, "\(issues)")
    }

    @Test func pixivAnswersUnderResponse() throws {
        let body = """
            {"access_token":"outer","response":{"access_token":"inner","expires_in":3600,"refresh_token":"same",
             "token_type":"bearer","user":{"id":"1"}}}
            """
        let outcome = try presetCatalog().interpret(answer(200, body), provider: try name("pixiv"))
        let grant = try #require(outcome?.grant)
        #expect(grant.accessToken == Secret("inner"))
        #expect(grant.refreshToken == Secret("same"))
        #expect(grant.expiresAt == requestedAt + .seconds(3600))
    }

    @Test func nothingReturnedTakesThePlaceOfFields() throws {
        let catalog = try presetCatalog()
        for preset in ["client_credentials", "jwt_bearer", "intranet"] {
            let body = #"{"access_token":"a","refresh_token":"r","expires_in":60,"data":{"token":"a"}}"#
            let grant = try #require(catalog.interpret(answer(200, body), provider: try name(preset))?.grant)
            #expect(grant.refreshToken == nil)
        }
    }
}
