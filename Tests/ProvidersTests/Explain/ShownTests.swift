import ConfigurationFile
import JSONText
import RefreshCore
import Testing

@testable import Providers

/// What `providers show` prints can stand in a configuration, and holds no secret.
struct ShownTests {
    /// Without what is masked, and so cannot come back.
    private func reread(_ definition: ProviderDefinition) throws -> ProviderDefinition {
        let yaml = "providers:\n" + definition.yamlLines.map { "  \($0)\n" }.joined()
        let catalog = try readProviders(yaml, environment: ["HOME": "/root"])
        return try #require(catalog[definition.name])
    }

    @Test func everyPresetComesBackAsItWas() throws {
        for definition in try presetCatalog().definitions where definition.signingKey == nil {
            var expected = definition
            var found = try reread(definition)
            expected.given = []
            found.given = []
            // Its parameters are masked, and the flow that follows from them is written out.
            found.login = expected.login
            if expected.clientSecret != nil { expected.clientSecret = Secret("***") }
            for index in expected.variables.indices { expected.variables[index].value = Secret("***") }
            #expect(found == expected, "\(definition.yamlLines.joined(separator: "\n"))")
        }
    }

    @Test func everythingThatCanBeGivenComesBack() throws {
        let yaml = """
            providers:
              p:
                preset: claude
                token_url: http://127.0.0.1:1/t/{{ account.id }}
                client_id: "true"
                account_fields: [id, pass]
                computed: { a: "{{ uuid }}", b: "{{ computed.a | md5 }}" }
                headers: { X-A: "{{ computed.b + '$' }}" }
                request:
                  method: PUT
                  query: { q: "{{ now.seconds }}" }
                  json: { s: "{{ account.pass }}", l: [true, null, false], e: {} }
                response:
                  access_token: [/a~1b, /c]
                  expires_in: [{ pointer: /ms, unit: milliseconds }]
                  expires_at: { pointer: /jwt, unit: jwt }
                errors:
                  token:
                    - { status: [400, 5xx, 401-403], json: { /a: 1, /b: [x, y], /c: { matches: "^$" }, /d: }, class: refused }
                    - { header: { A: "x$", B: }, contains: [a, "b: c"], matches: "[0-9]+ #", class: throttled }
                    - { body: empty, status: 500, class: ambiguous }
                  api:
                    - { code: x, class: quota }
                rotation: { grace: 30s }
                backoff: { base: 2s, cap: 20s }
                skew: 1500ms
                rate_limit: { requests: 30, per: 1m, burst: 3 }
                circuit_breaker: { failures: 9, cap: 1m }
                grant_max_age: 90d
                grant_warning: 2d
                ca_file: "/with blank"
            """
        let definition = try #require(try readProviders(yaml)[name("p")])
        var found = try reread(definition)
        var expected = definition
        expected.given = []
        found.given = []
        #expect(found == expected, "\(definition.yamlLines.joined(separator: "\n"))")
    }

    @Test func secretsAreMaskedAndOriginsNamed() throws {
        let yaml = """
            providers:
              p:
                preset: pixiv
                token_url: https://h/t?key=hunter1
                client_id: c
                client_secret: hunter2
                vars: { hash_secret: hunter3 }
                headers: { X-Key: hunter4, X-Mixed: "hunter5 {{ uuid }}" }
                params: { p: hunter6 }
                skew: 5s
                response: { token_type: /kind }
            """
        let definition = try #require(try readProviders(yaml)[name("p")])
        let lines = definition.yamlLines
        let text = lines.joined(separator: "\n")
        #expect(!text.contains("hunter"), "\(text)")
        #expect(!definition.json.serialized.contains("hunter"))
        #expect(!definition.settings.map(\.value).joined().contains("hunter"))
        for expected in [
            "  preset: pixiv  # configuration", "  client_id: c  # configuration",
            "  client_secret: \"***\"  # configuration; not shown", "    hash_secret: \"***\"  # configuration",
            "    X-Client-Time: \"{{ computed.time }}\"  # preset", "    X-Key: \"***\"  # configuration",
            "    X-Mixed: \"***{{ uuid }}\"  # configuration", "  skew: 5s  # configuration",
            "    token_type: [/kind]  # configuration",
            "    expires_at: [/expires_at]  # default", "  window: 10m  # preset",
            "  lock_ttl: 30s  # default",
        ] {
            #expect(lines.contains(expected), "\(expected) in\n\(text)")
        }
        #expect(
            text.contains(
                "{ class: refused, status: [400, 401], json: { /errors/system/code: 1508 } }  # preset"))
    }

    /// Secrets also stand in quotes inside of placeholders, in computed values, and as numbers.
    @Test func secretsInPlacesThatHoldNoneAsARule() throws {
        let yaml = """
            providers:
              p:
                preset: oauth2
                token_url: "https://h/t/{{ 'hunter0' }}"
                client_id: c
                computed: { auth: "Bearer hunter1", day: "{{ now.format('%Y') }}", k: "{{ sha256('hunter2' + uuid) }}" }
                headers: { X-Auth: "{{ computed.auth }}", X-K: "{{ computed.k }}", X-Day: "{{ computed.day }}" }
                request:
                  json: { pin: 4711, basic: "{{ basic('svc', 'hunter3') }}", on: true, t: "{{ refresh_token }}" }
            """
        let definition = try #require(try readProviders(yaml)[name("p")])
        let composer = RequestComposer(
            definition: definition, credential: .refreshToken(Secret("hunter4")), moment: WallTime(milliseconds: 0),
            uuid: "u")
        let request = try composer.masked()
        let sent = try composer.compose()
        #expect(sent.body?.contains("4711") == true && sent.url == "https://h/t/hunter0")
        let shown = [
            definition.yamlLines.joined(separator: "\n"), definition.json.serialized, request.url, request.body ?? "",
            request.headers.map(\.value).joined(separator: "\n"),
        ]
        let secrets =
            ["hunter", "4711"] + sent.headers.map(\.value).filter { $0.utf8.count == 64 } + ["c3ZjOmh1bnRlcjM"]
        #expect(secrets.count == 4)
        for text in shown {
            for secret in secrets { #expect(!text.contains(secret), "\(secret) in \(text)") }
        }
        #expect(request.headers.contains { $0.name == "X-Day" && $0.value == "1970" })
        #expect(definition.yamlLines.joined().contains("'%Y'"))
    }
}
