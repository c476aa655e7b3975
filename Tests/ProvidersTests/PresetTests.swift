import ConfigurationFile
import Providers
import RefreshCore
import Testing

struct PresetTests {
    @Test func `presets bring everything but what is the operator's`() throws {
        let catalog = try readProviders(
            """
            providers:
              c: { preset: claude, client_id: id }
              g: { preset: gemini, client_id: id, client_secret: s }
              o: { token_url: "https://h/t", client_id: id }
            """)
        let claude = try #require(catalog[name("c")])
        #expect(claude.tokenURL == "https://platform.claude.com/v1/oauth/token")
        #expect(claude.requestFormat == .json)
        #expect(claude.clientAuth == .none)
        #expect(claude.rotation == .singleUse)
        #expect(claude.skew == .seconds(60))
        let gemini = try #require(catalog[name("g")])
        #expect(gemini.tokenURL == "https://oauth2.googleapis.com/token")
        #expect(gemini.requestFormat == .form)
        #expect(gemini.clientAuth == .post)
        #expect(gemini.rotation == .reusable)
        #expect(gemini.skew == .seconds(10))
        let plain = try #require(catalog[name("o")])
        #expect(plain.preset == "oauth2")
        #expect(plain.clientAuth == .none)
        #expect(plain.errors == .standard)
        #expect(!ErrorRules.standard.token.rules.isEmpty)
        #expect(catalog.providers.map(\.rawValue) == ["c", "g", "o"])
    }

    @Test func `every field of a preset can be overridden`() throws {
        let catalog = try readProviders(
            """
            providers:
              c:
                preset: claude
                token_url: http://127.0.0.1:1/t
                client_id: id
                client_secret: s
                client_auth: basic
                request_format: form
                params: { a: b }
                headers: { X-A: b }
                scope: [one, two]
                audience: au
                resource: [r1, r2]
                rotation: { grace: 30s }
                skew: 1s
                window: 2m
                exchange_deadline: 3s
                connect_timeout: 1s
                send_by: 1s
                lock_ttl: 6s
                max_concurrent: 3
                default_lifetime: 10m
                ca_file: /ca.pem
                backoff: { base: 2s, cap: 20s }
                errors: { refused: [gone, { code: denied, status: 403 }, { status: 410 }] }
            """)
        let read = try #require(catalog[name("c")])
        var expected = ProviderDefinition(
            name: try name("c"), tokenURL: "http://127.0.0.1:1/t", clientID: "id", clientSecret: Secret("s"),
            clientAuth: .basic, requestFormat: .form, rotation: .grace(.seconds(30)), errors: read.errors)
        expected.preset = "claude"
        expected.given = read.given
        expected.parameters = [RequestField(name: "a", value: Template(literal: "b"))]
        expected.headers = [RequestField(name: "X-A", value: Template(literal: "b"))]
        expected.scope = "one two"
        expected.audience = "au"
        expected.resources = ["r1", "r2"]
        expected.skew = .seconds(1)
        expected.window = .seconds(120)
        expected.exchangeDeadline = .seconds(3)
        expected.connectTimeout = .seconds(1)
        expected.sendBy = .seconds(1)
        expected.lockTTL = .seconds(6)
        expected.maxConcurrent = 3
        expected.defaultLifetime = .seconds(600)
        expected.caFile = "/ca.pem"
        expected.backoffBase = .seconds(2)
        expected.backoffCap = .seconds(20)
        #expect(read == expected)
        #expect(
            read.errors.token.rules.prefix(3) == [
                ErrorRule(.refused, code: "gone"), ErrorRule(.refused, code: "denied", status: 403),
                ErrorRule(.refused, status: 410),
            ])
        #expect(read.errors.token.rules.contains(ErrorRule(.refused, code: "invalid_grant")))
        #expect(read.refreshPolicy.contradiction == nil)
        #expect(read.refreshPolicy.maxConcurrentExchanges == 3)
    }

    @Test(arguments: [
        (
            "{ preset: oauth2 }",
            "p.yaml:2:3: providers.acme: token_url and client_id are missing: the preset oauth2 needs token_url and client_id"
        ),
        ("{ token_url: \"https://h/\" }", "p.yaml:2:3: providers.acme: client_id is missing: the preset oauth2 needs"),
        ("{ preset: claude }", "p.yaml:2:3: providers.acme: client_id is missing: the preset claude needs client_id"),
        (
            "{ preset: gemini, client_id: c }",
            "p.yaml:2:3: providers.acme: client_secret (or client_secret_file) is missing: the preset gemini needs client_id and client_secret (or"
        ),
        (
            "{ preset: cluade, client_id: c }",
            "p.yaml:2:19: providers.acme.preset: \"cluade\" is not one of oauth2, client_credentials, jwt_bearer, claude, gemini, openai, pixiv, warp, intranet; did you mean claude?"
        ),
        ("{ token_url: /t, client_id: c }", "p.yaml:2:22: providers.acme.token_url: is not an absolute URL"),
        (
            "{ token_url: \"ftp://h\", client_id: c }",
            "p.yaml:2:22: providers.acme.token_url: has to begin with https://"
        ),
        (
            "{ token_url: \"https://u:hunter@h\", client_id: c }",
            "p.yaml:2:22: providers.acme.token_url: holds credentials"
        ),
        ("{ token_url: \"https://h/#x\", client_id: c }", "p.yaml:2:22: providers.acme.token_url: holds a fragment"),
        ("{ token_url: \"https:///x\", client_id: c }", "p.yaml:2:22: providers.acme.token_url: has no host"),
        ("{ token_url: \"https://h:99999/\", client_id: c }", "p.yaml:2:22: providers.acme.token_url: has a port"),
        ("{ token_url: \"https://h/ x\", client_id: c }", "p.yaml:2:22: providers.acme.token_url: holds a blank"),
        (
            "{ token_url: \"http://h/\", client_id: c }",
            "p.yaml:2:22: providers.acme.token_url: would send the refresh token unencrypted"
        ),
        (
            "{ token_url: \"http://127.0.0.1.evil.example/\", client_id: c }",
            "p.yaml:2:22: providers.acme.token_url: would send"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, client_auth: basic }",
            "p.yaml:2:63: providers.acme.client_auth: basic needs client_secret"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, client_auth: none, client_secret: hunter }",
            "p.yaml:2:84: providers.acme.client_secret: is not used with client_auth: none"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, client_auth: header }",
            "p.yaml:2:63: providers.acme.client_auth: \"header\" is not one of basic, post, none"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, client_secret: hunter, client_secret_file: /x }",
            "p.yaml:2:93: providers.acme.client_secret_file: give either"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, rotation: twice }",
            "p.yaml:2:60: providers.acme.rotation: \"twice\" is not one of single_use, reusable, { grace: 30s }"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, rotation: { grace: 0s } }",
            "p.yaml:2:69: providers.acme.rotation.grace: has to be between"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, rotation: {} }",
            "p.yaml:2:50: providers.acme.rotation: needs grace"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, params: { refresh_token: hunter } }",
            "p.yaml:2:75: providers.acme.params.refresh_token: cannot be set here"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, headers: { \"a b\": hunter } }",
            "p.yaml:2:68: providers.acme.headers.a b: is not the name of a header"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, headers: { Host: hunter } }",
            "p.yaml:2:67: providers.acme.headers.Host: cannot be set here"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, headers: { A: \"hunter\\r\\nB: c\" } }",
            "p.yaml:2:64: providers.acme.headers.A: holds a character"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, errors: { dead: [x] } }",
            "p.yaml:2:60: providers.acme.errors.dead: unknown key; known here: ambiguous"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, errors: { refused: [{}] } }",
            "p.yaml:2:70: providers.acme.errors.refused[0]: needs a code"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, lock_ttl: 10s }",
            "p.yaml:2:60: providers.acme.lock_ttl: lock_ttl (10.0 s) is shorter"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, exchange_deadline: 1m }",
            "p.yaml:2:69: providers.acme.exchange_deadline: lock_ttl (30.0 s) is shorter"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, skew: 10m }",
            "p.yaml:2:56: providers.acme.skew: skew (600.0 s) is longer than window"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, connect_timeout: 30s }",
            "p.yaml:2:67: providers.acme.connect_timeout: connect_timeout is longer"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, backoff: { base: 10s, cap: 1s } }",
            "p.yaml:2:59: providers.acme.backoff: backoff.base is longer"
        ),
        (
            "{ token_url: \"https://h/\", client_id: c, widnow: 5m }",
            "p.yaml:2:50: providers.acme.widnow: unknown key; did you mean window?"
        ),
        ("nothing", "p.yaml:2:9: providers.acme: has to be a mapping"),
    ])
    func `mistakes name provider, key and line`(entry: String, expected: String) {
        let found = providerIssues("providers:\n  acme: \(entry)\n")
        #expect(found.first?.hasPrefix(expected) == true, "\(found)")
        #expect(!found.joined().contains("hunter"), "\(found)")
    }

    @Test(arguments: [
        "http://localhost:1/t", "http://127.0.0.1/t", "http://[::1]:9/t", "http://a.localhost/t", "HTTPS://h/t",
    ])
    func `loopback may do without TLS`(url: String) throws {
        #expect(providerIssues("providers: { a: { token_url: \"\(url)\", client_id: c } }") == [])
    }

    @Test func `plain http elsewhere has to be asked for`() {
        let entry = "{ token_url: \"http://h/\", client_id: c, allow_insecure_http: true }"
        #expect(providerIssues("providers: { a: \(entry) }") == [])
    }

    @Test func `a short window shortens the skew that nobody chose`() throws {
        let yaml = "providers: { a: { token_url: \"https://h/\", client_id: c } }"
        let catalog = try readProviders(yaml, defaultWindow: .seconds(10))
        #expect(catalog.definitions.map(\.window) == [.seconds(10)])
        #expect(catalog.definitions.map(\.skew) == [.seconds(10)])
    }
}
