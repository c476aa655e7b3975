import ConfigurationFile
import Providers
import RefreshCore
import Testing

@testable import Gateway

@Suite struct RuleTests {
    private func sheet(_ rules: [ErrorRules.APIRule], reset: QuotaReset = QuotaReset()) -> RuleSheet {
        RuleSheet(rules: RuleList(rules), reset: reset)
    }

    private func json(_ pointer: String, _ value: String, _ meaning: APIErrorClass, status: Int? = nil) throws
        -> ErrorRules.APIRule
    {
        var conditions = RuleConditions(codes: [], statuses: status.map { [$0] } ?? [])
        conditions.json = [.init(try JSONPointer(pointer), .equals([value]))]
        return ErrorRule(meaning, conditions)
    }

    @Test func answersThatNoRuleCanMeetAreNotLookedAt() {
        let sheet = sheet([ErrorRule(.refresh, status: 401), ErrorRule(.none, status: 403)])
        #expect(sheet.interest(status: 200, contentType: nil, length: nil) == .none)
        #expect(sheet.interest(status: 403, contentType: nil, length: nil) == .none)
        #expect(sheet.interest(status: 401, contentType: "application/json", length: 3) == .head)
        #expect(sheet.interest(status: 700, contentType: nil, length: nil) == .none)
        #expect(!sheet.looksAtBodies)
    }

    @Test func bodiesAreHeldOnlyWhereTheyDecide() throws {
        let sheet = sheet([
            try json("/code", "40003", .refresh), try json("/e", "x", .refresh, status: 401),
            ErrorRule(.refresh, status: 401),
        ])
        #expect(sheet.interest(status: 200, contentType: "application/json", length: nil) == .body(whole: true))
        #expect(sheet.interest(status: 200, contentType: nil, length: nil) == .body(whole: true))
        // Whatever the body says, it is the same.
        #expect(sheet.interest(status: 401, contentType: "application/json", length: nil) == .head)
        for type in [
            "text/event-stream; charset=utf-8", "image/png", "Application/X-NDJSON", "application/octet-stream",
        ] {
            #expect(sheet.interest(status: 200, contentType: type, length: nil) == .head)
        }
        // Too long to be read whole, and a JSON document that is not whole is none.
        #expect(
            sheet.interest(status: 200, contentType: "application/json", length: Int64(RuleSheet.mostHeld) + 1) == .head
        )
        #expect(sheet.looksAtBodies)
        let verdict = sheet.verdict(status: 200, headers: [], body: Array(#"{"code":40003}"#.utf8), now: now)
        #expect(verdict == .init(meaning: .refresh))
        #expect(
            sheet.verdict(status: 200, headers: [], body: RuleSheet.unseen, now: now) == .init(meaning: .none))
    }

    @Test func routesRulesComeBeforeTheProviders() throws {
        var route = GatewayRoute.to()
        route.rules = RuleList([ErrorRule(.quota, status: 401)])
        let definition = ProviderDefinition(
            name: try ProviderName("acme"), tokenURL: "https://id.example/token", clientID: "c")
        let book = RuleBook(route: route, providers: ProviderCatalog([definition]))
        func meaning(_ status: Int, _ provider: ProviderName?) -> APIErrorClass {
            book.sheet(provider).verdict(status: status, headers: [], body: [], now: now).meaning
        }
        #expect(meaning(401, definition.name) == .quota)
        #expect(meaning(429, definition.name) == .throttle)
        #expect(meaning(401, nil) == .quota)
        #expect(meaning(429, nil) == .none)
    }

    @Test(
        arguments: [
            ("30", 30_000), ("1.5", 1500), ("1795255080", 60_000), ("1795255080.5", 60_500), ("1795255080000", 60_000),
            ("6m0s", 360_000),
            ("1h2m3.5s", 3_723_500), ("250ms", 250), ("2026-11-21T12:00:00Z", 7_380_000),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("0", 0), ("", nil), ("soon", nil), ("-5", nil), ("5x", nil), ("1e9", nil), ("99999999999999999", nil),
            ("s", nil),
        ] as [(String, Int64?)])
    func timesAreReadInEveryWay(text: String, milliseconds: Int64?) {
        let found = QuotaReset.time(text, now: now)
        #expect(found == milliseconds.map { now + .milliseconds($0) })
    }

    @Test func theEndOfAQuotaIsWhereTheRouteSays() throws {
        let reset = QuotaReset(headers: ["X-Reset"], pointers: [try JSONPointer("/error/resets_in")])
        let body = Array(#"{"error":{"resets_in":90}}"#.utf8)
        let sheet = sheet([ErrorRule(.quota, status: 429)], reset: reset)
        #expect(sheet.interest(status: 429, contentType: "application/json", length: nil) == .body(whole: true))
        func until(_ headers: [HeaderField]) -> WallTime? {
            sheet.verdict(status: 429, headers: headers, body: body, now: now).until
        }
        #expect(until([]) == now + .seconds(90))
        #expect(until([("x-reset", "5")]) == now + .seconds(5))
        #expect(until([("x-reset", "5"), ("Retry-After", "7")]) == now + .seconds(7))
        // What is no time to come says nothing.
        #expect(until([("x-reset", "5"), ("Retry-After", "0")]) == now + .seconds(5))
        #expect(until([("x-reset", "0s"), ("Retry-After", "0")]) == now + .seconds(90))
        // A quota of a week.
        #expect(until([("Retry-After", "500000")]) == now + .seconds(500_000))
        #expect(
            QuotaReset(headers: ["a"]).end(headers: [("a", "400000000")], body: [], now: now) == now
                + QuotaReset.longest)
    }
}
