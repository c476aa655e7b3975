import Providers
import RefreshCore
import Testing

/// What a person sees of an answer in a journal: why it is of no use, and never a token.
struct MaskedAnswerTests {
    private func masked(_ body: String, headers: [RawTokenResponse.Header] = []) -> MaskedAnswer {
        MaskedAnswer(
            RawTokenResponse(
                status: 200, headers: headers, body: Array(body.utf8), requestedAt: WallTime(milliseconds: 0)),
            secrets: [Secret("spent-token")])
    }

    @Test(arguments: [
        #"{"access_token":"s3cret","refresh_token": "hush" , "expires_in":3600,"scope":"read write"}"#,
        #"{"access_token":"s3cret","refresh_token":"hu"#,
        #"{"data":{"access_token":["s3cret","hush"]}}"#,
        #"{"access\u005ftoken":"s3cret \" hush"}"#,
        "access_token=s3cret&refresh_token=hush&expires_in=3600",
        "<token>s3cret-hush-1</token>", "ya29.A0ARrdaM-s3cret-0123456789abcdef", "s3cret012 hush-0001",
        #"{"message":"the token spent-token is used, s3crets3crets3crets3cret1 is not"}"#,
        "{'access_token': 's3cret-hush'}",
    ])
    func noTokenIsShown(body: String) {
        let answer = masked(body)
        // Nor the first part of one.
        for secret in ["s3c", "hus", "spent-t"] {
            #expect(!answer.body.contains(secret), "\(answer.body)")
        }
        #expect(answer.body.contains("***"))
        #expect(answer.bodyLength == body.utf8.count)
    }

    @Test func whatWentWrongIsShown() {
        let answer = masked(
            "{\"error\":\"temporarily_unavailable\",\n \"error_description\":\"come back later\",\"id\":\"x\",\"expires_in\":3600}"
        )
        #expect(
            answer.body
                == #"{"error":"temporarily_unavailable", "error_description":"come back later","id":"***","expires_in":3600}"#
        )
        #expect(masked("<html>Bad Gateway</html>").body == "<html>Bad Gateway</html>")
        #expect(masked("").body.isEmpty)
    }

    @Test func headersAreMaskedUnlessTheyAreHarmless() {
        let answer = masked(
            "{}",
            headers: [
                .init(name: "Content-Type", value: "text/html"), .init(name: "Set-Cookie", value: "session=abc"),
                .init(name: "X-Token", value: "t"),
            ])
        #expect(answer.headers.map(\.value) == ["text/html", "***", "***"])
    }

    @Test func longBodiesAreCut() {
        let answer = masked(#"{"message":"hello","list":""# + String(repeating: "x", count: 10_000))
        #expect(answer.bodyLength > 10_000)
        #expect(answer.body.count < 100)
        #expect(answer.body.hasSuffix(" …"))
    }
}
