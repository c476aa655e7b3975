import RefreshCore
import Testing

@testable import PerennialAPI

/// Pool, tier, labels and proxy over HTTP.
@Suite struct TraitTests {
    @Test func theyAreGivenChangedAndRemoved() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let body =
                #"{"provider":"acme","refresh_token":"rt","pool":"shared","tier":"personal","labels":{"team":"x","env":"y"},"#
                + #""proxy":"socks5h://ann:hunter2@proxy.example:1080"}"#
            let created = try await client.send("PUT", "/v1/accounts/a", body: body)
            #expect(created.status == 201)
            #expect(created.member("pool") == "shared" && created.member("tier") == "personal")
            #expect(created.body.contains(#""labels":{"env":"y","team":"x"}"#))
            #expect(
                created.body.contains(#""proxy":{"url":"socks5h://proxy.example:1080","has_credentials":true}"#))
            #expect(!created.body.contains("hunter2") && !created.body.contains("ann"))

            let patched = try await client.send(
                "PATCH", "/v1/accounts/a",
                body: #"{"labels":{"env":null,"new":"z"},"tier":null,"proxy":{"url":"http://h:1","username":"u"}}"#)
            #expect(patched.status == 200)
            #expect(patched.body.contains(#""labels":{"new":"z","team":"x"}"#))
            #expect(patched.member("tier") == "null" && patched.member("pool") == "shared")
            #expect(patched.body.contains(#""proxy":{"url":"http://h:1","has_credentials":true}"#))

            let bare = try await client.send(
                "PATCH", "/v1/accounts/a", body: #"{"labels":null,"pool":null,"proxy":null}"#)
            #expect(bare.body.contains(#""pool":null,"tier":null,"labels":{},"proxy":null"#))
            let direct = try await client.send("PATCH", "/v1/accounts/a", body: #"{"proxy":"direct"}"#)
            #expect(direct.body.contains(#""proxy":{"url":"direct","has_credentials":false}"#))
            // New credentials alone leave them as they are.
            let again = try await client.send(
                "PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"rt"}"#)
            #expect(again.body.contains(#""proxy":{"url":"direct","has_credentials":false}"#))
        }
    }

    @Test(arguments: [
        (#"{"pool":7}"#, "pool has to be a string"), (#"{"pool":"a b"}"#, "bad pool name"),
        (#"{"tier":[]}"#, "tier has to be a string"), (#"{"labels":"x"}"#, "labels has to be a JSON object"),
        (#"{"labels":{"a b":"x"}}"#, "bad label"), (#"{"labels":{"a":1}}"#, "the label \"a\" has to be a string"),
        (#"{"labels":{"a":""}}"#, "its value is empty"), (#"{"labels":{"a":"1","a":"2"}}"#, "twice"),
        (#"{"proxy":1}"#, "proxy has to be a URL"), (#"{"proxy":"s3cret"}"#, "proxy is no URL"),
        (#"{"proxy":{"url":"http://h:1","password":"s3cret"}}"#, "proxy has a password and no user name"),
        (#"{"proxy":{"username":"s3cret"}}"#, "proxy.url is missing"),
        (#"{"proxy":{"url":"http://h:1","has_credentials":true}}"#, "unknown field \"has_credentials\""),
        (#"{"proxy":{"url":"direct","username":"s3cret"}}"#, "proxy is no URL"),
        (#"{"proxies":null}"#, "unknown field"),
    ]) func badOnesAreNamedAndNotRepeated(body: String, words: String) async throws {
        let house = try House()
        try house.add("a")
        try await house.serve { client async throws in
            let answer = try await client.send("PATCH", "/v1/accounts/a", body: body)
            #expect(answer.status == 400)
            #expect(answer.member("detail")?.contains(words) == true, "\(answer.body)")
            #expect(!answer.body.contains("s3cret"))
        }
    }

    @Test func aPutTakesNoNullLabel() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let answer = try await client.send(
                "PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"rt","labels":{"a":null}}"#)
            #expect(answer.status == 400)
        }
    }

    @Test func thereIsAnEndToLabels() async throws {
        let house = try House()
        try house.add("a") {
            $0.labels = AccountLabels(unchecked: Dictionary(uniqueKeysWithValues: (0..<32).map { ("k\($0)", "v") }))
        }
        try await house.serve { client async throws in
            let answer = try await client.send("PATCH", "/v1/accounts/a", body: #"{"labels":{"more":"x"}}"#)
            #expect(answer.status == 400)
            #expect(answer.body.contains("more than 32 labels"))
        }
    }

    @Test func theListIsFiltered() async throws {
        let house = try House()
        for id in ["a", "b", "c"] {
            try house.add(id) {
                $0.labels = AccountLabels(unchecked: ["team": id == "c" ? "other" : "x"])
                if id == "b" { $0.pool = try? PoolName("shared") }
                if id == "c" { $0.enabled = false }
            }
        }
        try await house.serve { client async throws in
            for (query, wanted) in [
                ("pool=shared", ["b"]), ("label=team%3Dx", ["a", "b"]), ("label=team", ["a", "b", "c"]),
                ("status=disabled", ["c"]), ("provider=acme&label=team=other", ["c"]), ("tier=t", []),
                ("provider=nobody", []),
            ] as [(String, [String])] {
                let answer = try await client.send("GET", "/v1/accounts?\(query)")
                let found = ["a", "b", "c"].filter { answer.body.contains("\"id\":\"\($0)\"") }
                #expect(found == wanted, "\(query)")
            }
            // A page counts what was looked at.
            let page = try await client.send("GET", "/v1/accounts?limit=1&pool=shared")
            #expect(page.body == #"{"accounts":[],"next":"a"}"#)
            for query in ["status=odd", "pool=a%20b", "label=a%20b=c", "label==x", "pools=x"] {
                #expect(try await client.send("GET", "/v1/accounts?\(query)").status == 400)
            }
        }
    }
}
