import FoundationEssentials
import Providers
import RefreshCore
import Testing

struct ExpiryTests {
    private func seconds(_ members: String, token: String = "a") throws -> Double {
        let body = #"{"access_token":"\#(token)"\#(members.isEmpty ? "" : ",")\#(members)}"#
        let grant = try #require(try Interpreting()(answer(200, body)).grant)
        return (grant.expiresAt - requestedAt).inSeconds
    }

    /// A provider that hands out the same pair again within its grace says how long it still lasts: maybe not at all.
    @Test(arguments: [
        (#""expires_in":0"#, 0.0), (#""expires_in":-5"#, 0), (#""expires_in":"0""#, 0), (#""expires_in":7"#, 7),
        (#""expires_at":1799999990"#, -10), ("", 3600),
    ])
    func theAnswerToAResendIsTakenAtItsWord(members: String, expected: Double) throws {
        var response = answer(200, #"{"access_token":"a"\#(members.isEmpty ? "" : ",")\#(members)}"#)
        response.isReplay = true
        let grant = try #require(try Interpreting()(response).grant)
        #expect((grant.expiresAt - requestedAt).inSeconds == expected)
    }

    private static let tenYears = 10.0 * 366 * 86_400

    @Test(arguments: [
        ("", 3600.0), (#""expires_in":60"#, 60), (#""expires_in":"60""#, 60), (#""expires_in":59.5"#, 59.5),
        (#""expires_in":"6e1""#, 60), (#""expires_in":1e300"#, tenYears), (#""expires_in":"1e300""#, tenYears),
        (#""expires_in":9223372036854775807"#, tenYears), (#""expires_in":99999999999999999999999"#, tenYears),
        // No statement: the default.
        (#""expires_in":0"#, 3600), (#""expires_in":-1"#, 3600), (#""expires_in":"nan""#, 3600),
        (#""expires_in":"inf""#, 3600), (#""expires_in":"soon""#, 3600), (#""expires_in":null"#, 3600),
        (#""expires_in":true"#, 3600), (#""expires_in":[60]"#, 3600), (#""expires_in":"""#, 3600),
        // expires_at in seconds, milliseconds, as text and as RFC 3339.
        (#""expires_at":1800000060"#, 60), (#""expires_at":1800000060.5"#, 60.5), (#""expires_at":1800000060000"#, 60),
        (#""expires_at":"1800000060""#, 60), (#""expires_at":"2027-01-15T08:01:00Z""#, 60),
        (#""expires_at":"2027-01-15T09:01:00.250+01:00""#, 60.25), (#""expires_at":"2027-01-15 08:01:00""#, 60),
        (#""expires_at":1e300"#, tenYears), (#""expires_at":"9999-12-31T23:59:59Z""#, tenYears),
        (#""expires_at":1700000000"#, 3600), (#""expires_at":0"#, 3600), (#""expires_at":"tomorrow""#, 3600),
        // The first that makes sense counts.
        (#""expires_in":60,"expires_at":1800000090"#, 60), (#""expires_in":0,"expires_at":1800000090"#, 90),
    ])
    func `the end of a token is read`(members: String, expected: Double) throws {
        #expect(try seconds(members) == expected)
    }

    private func jwt(_ claims: String) -> String {
        func part(_ text: String) -> String {
            Data(text.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
                "=", with: "")
        }
        return "\(part(#"{"alg":"RS256"}"#)).\(part(claims)).c2ln"
    }

    @Test(arguments: [
        (#"{"exp":1800000300}"#, 300.0), (#"{"exp":1800000300.5,"sub":"é??>>"}"#, 300.5), (#"{"exp":1}"#, 3600),
        (#"{"exp":"1800000300"}"#, 3600), (#"{"exp":-5}"#, 3600), (#"{}"#, 3600), ("no json", 3600), ("", 3600),
    ])
    func `a JWT says it itself where the answer does not`(claims: String, expected: Double) throws {
        #expect(try seconds("", token: jwt(claims)) == expected)
        #expect(try seconds(#""expires_in":60"#, token: jwt(claims)) == 60)
    }

    @Test(arguments: ["a.b", "a.!!!.c", "....", "a.e30.c", "..", "x.eyJleHAiOjF9.y"])
    func `what only looks like a JWT has the default life`(token: String) throws {
        #expect(try seconds("", token: token) == 3600)
    }

    @Test(
        arguments: [
            ("1994-11-06T08:49:37Z", 784_111_777_000), ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00.999Z", 951_825_600_999),
            ("2026-11-21T08:49:37-0130", 1_795_256_377_000), ("1969-12-31T23:59:59Z", -1000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] as [(String, Int64)])
    func `RFC 3339`(text: String, expected: Int64) {
        #expect(Timestamp.rfc3339(text) == WallTime(milliseconds: expected))
    }

    @Test(arguments: [
        "", "2026", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00X", "2026-01-01T00:00:00Z ", "2026-01-01T00:00:00.Z", "0000-01-01T00:00:00Z",
        "２０２６-01-01T00:00:00Z", "2026-01-01T00:00:00+25:00", "-026-01-01T00:00:00Z",
    ])
    func `what is no time is none`(text: String) {
        #expect(Timestamp.rfc3339(text) == nil)
    }

    @Test(arguments: [
        "", "now", "Sun, 06 Nov 1994", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 99999999999999999999 Nov 1994 08:49:37 GMT", "Sun Nov  6 8:49:37 1994",
    ])
    func `what is no HTTP date is none`(text: String) {
        #expect(Timestamp.httpDate(text) == nil)
    }
}
