import ConfigurationFile
import Providers
import RefreshCore
import Testing

/// Mistakes that are found before anything is sent: each names file, line and what to write instead.
struct DefinitionCheckTests {
    @Test(arguments: [
        // Templates
        (
            "headers: { X-A: \"{{ vars.kye }}\" }, vars: { key: hunter }",
            "headers.X-A: {{ vars.kye }} names nothing: did you mean vars.key?"
        ),
        (
            "headers: { X-A: \"{{ md5(client_id }}\" }",
            "headers.X-A: the placeholder {{ md5(client_id }} has ( without )"
        ),
        ("headers: { X-A: \"{{ mdfive(client_id) }}\" }", "headers.X-A: there is no function mdfive"),
        (
            "headers: { X-A: \"{{ client_secret }}\" }",
            "headers.X-A: {{ client_secret }} has no value: give client_secret"
        ),
        ("headers: { X-A: \"{{ account.subject }}\" }", "headers.X-A: {{ account.subject }} names nothing"),
        ("headers: { X-A: {{ client_id }} }", "headers.X-A: a key has to be a plain word"),
        ("params: { a: \"{{ now }}\" }", "params.a: {{ now }} names nothing: write now.iso"),
        ("params: { a: \"{{ now.format('%Q') }}\" }", "params.a: the time format has %Q"),
        ("params: { a: [x] }", "params.a: has to be a text, not a list"),
        ("computed: { a: \"{{ computed.b }}\", b: x }", "computed: a uses a computed value that stands behind it"),
        ("computed: { a: \"{{ computed.a }}\" }", "computed: a uses a computed value that stands behind it"),
        ("computed: { \"a-b\": x }", "computed.a-b: is no name"),
        ("vars: { \"a b\": hunter }", "vars.a b: is no name"),
        ("vars: { a: hunter, a_file: /x }", "vars.a_file: give either a or a_file"),
        ("vars: { a_file: /nowhere/at/all }", "vars.a_file: cannot read /nowhere/at/all"),
        // Bodies
        (
            "request: { json: { a: \"{{ refresh_tokn }}\" } }",
            "request.json.a: {{ refresh_tokn }} names nothing: did you mean refresh_token?"
        ),
        ("request: { json: { a: [1, \"{{ x }}\"] } }", "request.json.a[1]: {{ x }} names nothing"),
        ("request: { form: { a: b }, json: {} }", "request.json: give one body: form or json"),
        ("request: { form: [a] }", "request.form: has to be a mapping of names to texts, not a list"),
        ("request: { form: { a: b } }, params: { c: d }", "params: is not used: the request has a body of its own"),
        ("request: { form: { a: b } }, scope: x", "scope: is not used"),
        ("request: { form: { a: b } }, grant: password", "grant: is not used"),
        (
            "request: { form: { a: b } }, client_secret: hunter, client_auth: post",
            "client_auth: is not used: write client_id"
        ),
        ("request: { method: GET, form: { a: b } }", "request.form: GET has no body"),
        ("request: { method: GET }, params: { a: b }", "params: is not used: GET has no body"),
        ("request: { method: TRACE }", "request.method: \"TRACE\" is not one of GET, POST, PUT, PATCH"),
        ("request: { mehtod: GET }", "request.mehtod: unknown key; did you mean method?"),
        ("request: { url: https://other/ }", "request.url: is the same as token_url"),
        (
            "request: { headers: { X-A: a } }, headers: { x-a: b }",
            "request.headers: gives X-A, which stands in headers already"
        ),
        // Headers
        ("headers: { X-A: \"hunter\\n{{ client_id }}\" }", "headers.X-A: holds a character that a header cannot have"),
        (
            "headers: { Authorization: hunter }, client_secret: hunter",
            "headers: gives Authorization, which client_auth: basic makes"
        ),
        ("headers: { Content-Type: text/plain }", "headers: gives Content-Type, which is made with the body"),
        // Grants and accounts
        ("account_fields: [username]", "account_fields: leaves the account without the refresh token"),
        ("account_fields: [a, a], grant: password", "account_fields: names a twice"),
        ("account_fields: [a-b], grant: password", "account_fields: \"a-b\" is no name"),
        ("account_fields: [username], grant: password", "account_fields: lacks password, which grant: password sends"),
        (
            "grant: implicit",
            "grant: \"implicit\" is not one of refresh_token, client_credentials, jwt_bearer, password"
        ),
        ("grant: jwt_bearer", "grant: jwt_bearer needs signing"),
        ("assertion: { issuer: me }", "assertion: is not used: set grant: jwt_bearer"),
        (
            "grant: client_credentials, params: { a: \"{{ refresh_token }}\" }",
            "params.a: {{ refresh_token }} does not exist here: accounts of this provider have no fields"
        ),
        (
            "grant: client_credentials, response: { refresh_token: /r }",
            "response: has refresh_token, but an account made of nothing has none to replace"
        ),
        (
            "grant: client_credentials",
            "grant: client_credentials needs client_secret (or client_secret_file), or client_auth: private_key_jwt"
        ),
        (
            "request: { form: { assertion: \"{{ assertion }}\" } }",
            "request.form.assertion: {{ assertion }} needs signing: { key_file: /path.pem }"
        ),
        (
            "params: { a: \"{{ client_assertion }}\" }",
            "params.a: {{ client_assertion }} needs signing: { key_file: /path.pem }"
        ),
        ("client_auth: private_key_jwt", "client_auth: needs signing: { key_file: /path.pem }"),
        ("client_auth: client_secret_jwt, client_secret: hunter", "client_secret: is shorter than the 32 bytes"),
        ("signing: {}", "signing: needs key_file"),
        ("signing: { key: hunter }", "signing.key: is not an RSA private key"),
        ("signing: { key: hunter, algorithm: none }", "signing.algorithm: \"none\" is not one of RS256, ES256, HS256"),
        ("signing: { key_file: /nowhere/at/all }", "signing.key_file: cannot read"),
    ]) func mistakes(entry: String, expected: String) {
        let issues = providerIssues("providers:\n  p:\n    { token_url: https://h/, client_id: c, \(entry) }\n")
        #expect(issues.contains { $0.hasPrefix("p.yaml:3:") && $0.contains("providers.p.\(expected)") }, "\(issues)")
        #expect(!issues.joined().contains("hunter"), "\(issues)")
    }

    @Test(arguments: [
        (
            "pixiv",
            "client_id, client_secret (or client_secret_file) and vars.hash_secret (or vars.hash_secret_file) are missing",
            "vars.hash_secret: write vars: { hash_secret_file: /PATH }"
        ),
        ("warp", "token_url and vars.key (or vars.key_file) are missing", "vars.key: write vars: { key_file: /PATH }"),
        (
            "intranet", "token_url and response.access_token are missing",
            "response.access_token: write response: { access_token: /data/token }"
        ),
        (
            "jwt_bearer",
            "token_url, signing.key, assertion.issuer, assertion.subject and assertion.audience are missing",
            "signing.key: write signing:"
        ),
        ("openai", "client_id is missing", "client_id: write client_id: ID"),
        ("client_credentials", "token_url and client_id are missing", "token_url: write token_url: https://HOST/PATH"),
    ]) func whatAPresetNeedsIsSaidWithHowToGiveIt(preset: String, expected: String, advice: String) {
        let issues = providerIssues("providers:\n  p: { preset: \(preset) }\n")
        #expect(issues.count == 1)
        #expect(issues.first?.hasPrefix("p.yaml:2:3: providers.p: \(expected)") == true, "\(issues)")
        #expect(issues.first?.contains(advice) == true, "\(issues)")
    }

    @Test func whatATokenURLMayHold() throws {
        func issues(_ url: String) -> [String] {
            providerIssues("providers: { p: { token_url: \"\(url)\", client_id: c, vars: { t: x } } }")
        }
        #expect(issues("https://h/{{ vars.t }}/token") == [])
        #expect(
            issues("https://{{ vars.t }}.example/token").first?.contains("has a placeholder before or in its host")
                == true)
        #expect(issues("{{ vars.t }}").first?.contains("is not an absolute URL") == true)
        #expect(issues("https://h{{ vars.t }}/").first?.contains("has a placeholder before or in its host") == true)
        #expect(issues("https://h/{{ vars.u }}").first?.contains("{{ vars.u }} names nothing") == true)
        #expect(issues("https://h/{{ vars.t").first?.contains("has {{ without }}") == true)
    }

    @Test func anAssertionIsMadeAfterWhatIsComputed() throws {
        let issues = providerIssues(
            """
            providers:
              p:
                preset: jwt_bearer
                token_url: https://h/
                signing: { key: "\(String(repeating: "k", count: 40))", algorithm: HS256 }
                assertion: { issuer: i, subject: s, audience: a }
                computed: { x: "{{ assertion }}" }
                headers: { X: "{{ computed.x }}" }
            """)
        #expect(issues.count == 1)
        #expect(issues.first?.contains("computed: x uses {{ assertion }}, which is made last") == true, "\(issues)")
    }

    @Test func takingAwayWhatAPresetUsesIsSeen() {
        let issues = providerIssues(
            "providers: { p: { preset: pixiv, client_id: c, client_secret: s, vars: { hash_secret: h }, computed: { time: } } }"
        )
        #expect(issues.first?.contains("{{ computed.time }} names nothing") == true, "\(issues)")
        #expect(issues.first?.contains("used by the preset pixiv") == true)
    }

    @Test func everyPresetIsWhole() throws {
        let catalog = try presetCatalog()
        #expect(Set(catalog.providers.map(\.rawValue)) == Set(PresetLibrary.names))
        for name in PresetLibrary.names {
            #expect(!PresetLibrary.requirements(name).isEmpty)
            let text = try #require(PresetLibrary.text(name))
            // No preset brings what is the operator's.
            for key in ["\nclient_id:", "\nclient_secret", "\n  hash_secret:", "\nvars:", "key: \"A"] {
                #expect(!text.contains(key), "\(name) \(key)")
            }
        }
        #expect(PresetLibrary.text("nope") == nil)
    }
}
