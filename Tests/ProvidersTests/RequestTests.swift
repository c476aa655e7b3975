import CurlClient
import RefreshCore
import Testing

@testable import Providers

struct RequestTests {
    private func request(
        _ definition: ProviderDefinition, refreshToken: String = "tGzv3JOkF0XG5Qx2TlKWIA"
    ) async throws -> CurlRequest {
        let transport = RecordingTransport(.success(CurlResponse(status: 200)))
        let client = TokenEndpointClient(
            catalog: ProviderCatalog([definition]), transport: transport, time: FixedTime())
        let now = FixedTime().monotonic()
        _ = await client.spend(
            try claim(provider: definition.name, refreshToken: refreshToken), policy: definition.refreshPolicy,
            sendBy: now + .seconds(2), deadline: now + .seconds(20))
        return try #require(transport.request)
    }

    private func header(_ name: String, _ request: CurlRequest) -> [String] {
        request.headers.filter { $0.name == name }.map(\.value)
    }

    private func text(_ request: CurlRequest) -> String { String(decoding: request.body ?? [], as: UTF8.self) }

    @Test func `the example of RFC 6749 section 6`() async throws {
        let definition = ProviderDefinition(
            name: try name("rfc"), tokenURL: "https://server.example.com/token", clientID: "s6BhdRkqt3",
            clientSecret: Secret("gX1fBat3bV"))
        let request = try await request(definition)
        #expect(request.method == "POST")
        #expect(request.url == "https://server.example.com/token")
        #expect(header("Authorization", request) == ["Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"])
        #expect(header("Content-Type", request) == ["application/x-www-form-urlencoded"])
        #expect(header("Accept", request) == ["application/json"])
        #expect(text(request) == "grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA")
        #expect(request.singleSend)
        #expect(!request.followRedirects)
        #expect(request.totalTimeout == .seconds(20))
        #expect(request.connectTimeout == .seconds(5))
        let sendBy = try #require(request.sendBy)
        #expect(sendBy - ContinuousClock.now <= .seconds(2))
    }

    @Test(arguments: [
        // RFC 6749 Appendix B
        (" %&+£€", "+%25%26%2B%C2%A3%E2%82%AC"), ("a-b.c_d*e", "a-b.c_d*e"), ("~/:=@\r\n", "%7E%2F%3A%3D%40%0D%0A"),
        ("", ""),
    ])
    func `form encoding`(text: String, expected: String) {
        #expect(HTTPText.formEncoded(text) == expected)
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `base64 as in RFC 4648 section 10`(text: String, expected: String) {
        #expect(HTTPText.base64(text) == expected)
        #expect(HTTPText.base64URLDecoded(expected[...]) == Array(text.utf8))
    }

    @Test func `id and secret are encoded before they are joined`() async throws {
        let definition = ProviderDefinition(
            name: try name("p"), tokenURL: "https://h/", clientID: "a:b", clientSecret: Secret("c d%"))
        #expect(header("Authorization", try await request(definition)) == ["Basic \(HTTPText.base64("a%3Ab:c+d%25"))"])
    }

    @Test func `secret in the body, parameters and headers`() async throws {
        var definition = ProviderDefinition(
            name: try name("p"), tokenURL: "https://h/", clientID: "id", clientSecret: Secret("s&t"), clientAuth: .post)
        definition.scope = "a b"
        definition.audience = "au"
        definition.resources = ["https://r/1", "https://r/2"]
        definition.parameters = [RequestField(name: "x", value: Template(literal: "y z"))]
        definition.headers = [
            RequestField(name: "user-agent", value: Template(literal: "other")),
            RequestField(name: "X-Key", value: Template(literal: "k")),
        ]
        definition.caFile = "/ca.pem"
        let request = try await request(definition, refreshToken: "r+t")
        #expect(
            text(request) == "grant_type=refresh_token&refresh_token=r%2Bt&client_id=id&client_secret=s%26t&scope=a+b"
                + "&audience=au&resource=https%3A%2F%2Fr%2F1&resource=https%3A%2F%2Fr%2F2&x=y+z")
        #expect(header("Authorization", request) == [])
        #expect(header("User-Agent", request) == [])
        #expect(header("user-agent", request) == ["other"])
        #expect(header("X-Key", request) == ["k"])
        #expect(request.tls.caFile == "/ca.pem")
    }

    @Test func `JSON bodies`() async throws {
        var definition = ProviderDefinition(
            name: try name("p"), tokenURL: "https://h/", clientID: "id", requestFormat: .json)
        definition.resources = ["1", "2"]
        definition.parameters = [RequestField(name: "quote\"", value: Template(literal: "a\\b\n\u{1}é"))]
        let request = try await request(definition)
        #expect(header("Content-Type", request) == ["application/json"])
        let expected =
            #"{"grant_type":"refresh_token","refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","client_id":"id","#
            + #""resource":["1","2"],"quote\"":"a\\b\u000a\u0001é"}"#
        #expect(text(request) == expected)
    }
}
