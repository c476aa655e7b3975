import Crypto
import CurlClient
import FoundationEssentials
import JSONText
import RefreshCore
import Testing

@testable import Providers

/// What goes out for each kind of definition.
struct TemplatedRequestTests {
    private static let moment = WallTime(milliseconds: 1_800_000_000_123)

    private func compose(
        _ definition: ProviderDefinition, _ credential: AccountCredential = .refreshToken(Secret("refresh-1"))
    ) throws -> RenderedRequest {
        try RequestComposer(definition: definition, credential: credential, moment: Self.moment, uuid: "uuid-1")
            .compose()
    }

    private func definition(_ yaml: String) throws -> ProviderDefinition {
        let catalog = try readProviders(
            "providers:\n  p:\n" + yaml.split(separator: "\n").map { "    \($0)\n" }.joined())
        return try #require(catalog[name("p")])
    }

    private func header(_ name: String, _ request: RenderedRequest) -> String? {
        request.headers.first { $0.name == name }?.value
    }

    private func fields(_ names: [String: String]) -> AccountCredential {
        .fields(AccountFields(names.mapValues { Secret($0) }))
    }

    @Test func pixivHashesTheTimeItSends() throws {
        let pixiv = try #require(try presetCatalog()[name("pixiv")])
        let request = try compose(pixiv)
        #expect(header("X-Client-Time", request) == "2027-01-15T08:00:00+00:00")
        // echo -n '2027-01-15T08:00:00+00:00pixiv-hash' | md5sum
        let digest = Insecure.MD5.hash(data: Data("2027-01-15T08:00:00+00:00pixiv-hash".utf8))
        #expect(header("X-Client-Hash", request) == digest.map { String($0, radix: 16).leftPadded }.joined())
        #expect(
            request.body == "grant_type=refresh_token&refresh_token=refresh-1&client_id=c&client_secret=pixiv-secret"
                + "&get_secure_url=1")
        #expect(request.url == "https://oauth.secure.pixiv.net/auth/token")
    }

    /// libcurl would take the segment out, and the one before it: the request would go somewhere else.
    @Test(arguments: ["..", "."]) func aValueCannotLeaveItsPlaceInThePath(tenant: String) throws {
        let own = try definition(
            """
            preset: intranet
            token_url: https://h/{{ account.tenant }}/token
            account_fields: [tenant, username, password]
            response: { access_token: /t }
            """)
        func request(_ tenant: String) throws -> RenderedRequest {
            try compose(own, fields(["tenant": tenant, "username": "u", "password": "p"]))
        }
        #expect(try request("a/../b").url == "https://h/a%2F..%2Fb/token")
        #expect(try request("...").url == "https://h/.../token")
        #expect(throws: TemplateFailure.self) { try request(tenant) }
    }

    @Test func presetsAreCompletedByName() throws {
        let pixiv = try definition(
            """
            preset: pixiv
            client_id: c
            client_secret: s
            vars: { hash_secret: h, version: "7" }
            headers: { App-Version: "{{ vars.version }}", x-client-time: fixed }
            params: { get_secure_url: null, include_policy: "true" }
            """)
        let request = try compose(pixiv)
        #expect(header("App-Version", request) == "7")
        #expect(request.headers.filter { $0.name.lowercased() == "x-client-time" }.map(\.value) == ["fixed"])
        #expect(request.body?.hasSuffix("&client_secret=s&include_policy=true") == true)
    }

    @Test func warpPutsItsKeyIntoTheQuery() throws {
        var warp = try #require(try presetCatalog()[name("warp")])
        warp.variables = [ProviderVariable(name: "key", value: Secret("a&b=c/é"))]
        let request = try compose(warp)
        #expect(request.url == "https://h/proxy/token?key=a%26b%3Dc%2F%C3%A9")
        #expect(request.body == "grant_type=refresh_token&refresh_token=refresh-1")
    }

    @Test func grantsWithoutRefreshTokens() throws {
        let catalog = try presetCatalog()
        let credentials = try #require(catalog[name("client_credentials")])
        #expect(
            try compose(credentials, fields([:])).body
                == "grant_type=client_credentials&client_id=c&client_secret=cc-secret")
        let intranet = try #require(catalog[name("intranet")])
        let login = try compose(intranet, fields(["username": "al\"ice", "password": "{{ client_id }}\n"]))
        #expect(login.body == #"{"username":"al\"ice","password":"{{ client_id }}\u000a"}"#)
        #expect(header("Content-Type", login) == "application/json")
        let password = try definition("token_url: https://h/\nclient_id: c\ngrant: password")
        #expect(password.accountFields == ["username", "password"])
        #expect(
            try compose(password, fields(["username": "a", "password": "b c"])).body
                == "grant_type=password&username=a&password=b+c&client_id=c")
    }

    @Test func aBodyOfAnyShape() throws {
        let definition = try definition(
            """
            token_url: https://h/graphql
            client_id: c
            account_fields: [subject]
            vars: { app: "x\\"y" }
            computed:
              stamp: "{{ now.milliseconds }}"
              sign: "{{ hmac_sha256(computed.stamp + account.subject, vars.app) }}"
            request:
              headers: { X-Sign: "{{ computed.sign }}", X-Id: "{{ uuid }}" }
              query: { op: login, t: "{{ computed.stamp }}" }
              json:
                query: "mutation { login }"
                variables: { subject: "{{ account.subject }}", app: "{{ vars.app }}", n: 1, ok: true, none: null, at: "{{ now.seconds | number }}" }
                list: [a, "{{ uuid }}"]
            """)
        let request = try compose(definition, fields(["subject": "é"]))
        #expect(request.url == "https://h/graphql?op=login&t=1800000000123")
        #expect(
            request.body
                == #"{"query":"mutation { login }","variables":{"subject":"é","app":"x\"y","n":1,"ok":true,"none":null,"at":1800000000},"list":["a","uuid-1"]}"#
        )
        let code = HMAC<SHA256>.authenticationCode(
            for: Data("1800000000123é".utf8), using: SymmetricKey(data: Data("x\"y".utf8)))
        #expect(header("X-Sign", request) == code.map { String($0, radix: 16).leftPadded }.joined())
        #expect(header("X-Id", request) == "uuid-1")
    }

    @Test func formsAndTextsAndGET() throws {
        let form = try definition(
            """
            request:
              url: https://h/{{ vars.tenant }}/token
              form: { a: "{{ refresh_token }}", r: [x, "y z"] }
            client_id: c
            vars: { tenant: "a/../b" }
            """)
        let request = try compose(form)
        #expect(request.url == "https://h/a%2F..%2Fb/token")
        #expect(request.body == "a=refresh-1&r=x&r=y+z")
        let text = try definition(
            """
            token_url: https://h/
            client_id: c
            headers: { Content-Type: application/xml }
            request: { body: "<t>{{ refresh_token }}</t>", method: PUT }
            """)
        #expect(try compose(text).body == "<t>refresh-1</t>")
        #expect(header("Content-Type", try compose(text)) == "application/xml")
        #expect(try compose(text).method == "PUT")
        let get = try definition(
            "client_id: c\nrequest: { method: GET, url: \"https://h/t?a=b\", query: { token: \"{{ refresh_token }}\" } }"
        )
        #expect(try compose(get).url == "https://h/t?a=b&token=refresh-1")
        #expect(try compose(get).body == nil)
    }

    @Test func variablesOfTheEnvironmentAreNotTemplates() throws {
        let catalog = try readProviders(
            "providers: { p: { token_url: https://h/, client_id: c, headers: { X-A: \"${VALUE}{{ client_id }}\" } } }",
            environment: ["VALUE": "{{ uuid }}"])
        let definition = try #require(catalog[name("p")])
        #expect(header("X-A", try compose(definition)) == "{{ uuid }}c")
    }

    @Test(arguments: ["a\r\nX-Evil: 1", "a\nb", "é", "a\u{0}", " a", "a "])
    func noValueBreaksOutOfAHeader(value: String) throws {
        var definition = try definition(
            "token_url: https://h/\nclient_id: c\nheaders: { X-A: \"{{ vars.a }}\" }\nvars: { a: x }")
        definition.variables = [ProviderVariable(name: "a", value: Secret(value))]
        do {
            _ = try compose(definition)
            Issue.record("composed")
        } catch {
            #expect("\(error)" == "the header X-A would hold a character that a header cannot have")
        }
    }

    @Test func whatCannotBeMadeIsNotSent() async throws {
        let intranet = try #require(try presetCatalog()[name("intranet")])
        let transport = RecordingTransport(.success(CurlResponse(status: 200)))
        let client = TokenEndpointClient(
            catalog: ProviderCatalog([intranet]), transport: transport, time: FixedTime())
        let now = FixedTime().monotonic()
        // An account from before the provider was changed to fields.
        let result = await client.spend(
            try claim(provider: intranet.name, refreshToken: "r"), policy: intranet.refreshPolicy,
            sendBy: now + .seconds(1), deadline: now + .seconds(2))
        guard case .unsent(let message) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(message.contains("needs username, password"))
        #expect(transport.request == nil)
        #expect(throws: TemplateFailure.self) { try compose(intranet, fields(["username": "a"])) }
        let oauth2 = try #require(try presetCatalog()[name("oauth2")])
        #expect(throws: TemplateFailure.self) { try compose(oauth2, fields(["username": "a"])) }
    }

    @Test func theProtectionsOfTheOneSendStay() async throws {
        for preset in presetSettings.keys {
            let definition = try #require(try presetCatalog(", ca_file: /ca.pem")[name(preset)])
            let transport = RecordingTransport(.success(CurlResponse(status: 200)))
            let client = TokenEndpointClient(
                catalog: ProviderCatalog([definition]), transport: transport, time: FixedTime())
            let now = FixedTime().monotonic()
            let secret =
                definition.accountFields.map { names in
                    fields(Dictionary(uniqueKeysWithValues: names.map { ($0, "value-\($0)") })).secret
                } ?? Secret("refresh-1")
            _ = await client.spend(
                try claim(provider: definition.name, refreshToken: secret.reveal()), policy: definition.refreshPolicy,
                sendBy: now + .seconds(1), deadline: now + .seconds(7))
            let request = try #require(transport.request, "\(preset)")
            #expect(request.singleSend)
            #expect(!request.followRedirects)
            #expect(request.sendBy != nil)
            #expect(request.totalTimeout == .seconds(7))
            #expect(request.maxResponseBytes == TokenRequest.maximumResponse)
            #expect(request.tls.caFile == "/ca.pem")
        }
    }
}

extension String {
    fileprivate var leftPadded: String { count == 1 ? "0\(self)" : self }
}
