import FoundationEssentials
import Testing

@testable import MockProvider

/// RFC 6749's own token endpoint, asked as its clients ask.
@Suite("Double: oauth2 and client_credentials", .timeLimit(.minutes(10)))
struct GenericDoubleTests {
    private static func basic(_ configuration: DoubleConfiguration, secret: String? = nil) -> [String: String] {
        // Form encoding before base64 (RFC 6749 §2.3.1).
        let id = formBody([configuration.clientID: ""]).dropLast()
        let secret = formBody([secret ?? configuration.clientSecret ?? "": ""]).dropLast()
        return form.merging([
            "Authorization": "Basic " + Data("\(id):\(secret)".utf8).base64EncodedString()
        ]) { $1 }
    }

    @Test func aRefreshRotatesAndAReuseRevokesTheFamily() async throws {
        let configuration = DoubleConfiguration(.oauth2)
        try await withDouble(configuration) { double, client in
            let grant = double.grant("alice")
            func refresh(_ token: String) async throws -> RawHTTPClient.Reply {
                try await client.send(
                    "POST", "/oauth2/token", headers: Self.basic(configuration),
                    body: formBody(["grant_type": "refresh_token", "refresh_token": token]))
            }
            let old = try #require(grant.refreshToken)
            let first = try await refresh(old)
            #expect(first.status == 200)
            #expect(first.headers["content-type"] == "application/json")
            #expect(first.headers["cache-control"] == "no-store")
            #expect(first.headers["date"]?.hasSuffix(" GMT") == true)
            let tokens = try first.json(IssuedTokens.self)
            let next = try #require(tokens.refreshToken)
            #expect(next != old && [2399, 2400].contains(tokens.expiresIn))
            let bearer = ["Authorization": "Bearer \(tokens.accessToken)"]
            let good = try await client.send("GET", "/api/me", headers: bearer)
            #expect(good.status == 200 && good.body == #"{"account":"alice"}"#)

            let reuse = try await refresh(old)
            #expect(reuse.status == 400)
            #expect(
                reuse.body
                    == #"{"error":"invalid_grant","error_description":"The refresh token has already been used"}"#)
            #expect(try await refresh(next).status == 400)
            let dead = try await client.send("GET", "/api/me", headers: bearer)
            #expect(dead.status == 401)
            #expect(dead.headers["www-authenticate"]?.contains("error=\"invalid_token\"") == true)

            let uses = double.ledger.filter { $0.phase == .token }
            #expect(uses.map(\.isReuse) == [false, true, false])
            #expect(uses.map(\.sequence) == [1, 3, 4])
            #expect(uses[0].presented == TokenFingerprint(of: old))
            #expect(uses[0].issued?.refreshToken == TokenFingerprint(of: next))
            #expect(uses[0].issued?.accessToken == TokenFingerprint(of: tokens.accessToken))
            #expect(uses[2].outcome == .refused("what it presents has been revoked"))
        }
    }

    @Test func theClientHasToProveItselfInTheWayThatIsRegistered() async throws {
        let configuration = DoubleConfiguration(.oauth2)
        try await withDouble(configuration) { double, client in
            let token = try #require(double.grant("alice").refreshToken)
            let body = formBody(["grant_type": "refresh_token", "refresh_token": token])
            let wrong = try await client.send(
                "POST", "/oauth2/token", headers: Self.basic(configuration, secret: "guess"), body: body)
            #expect(wrong.status == 401)
            #expect(wrong.body == #"{"error":"invalid_client","error_description":"Client authentication failed"}"#)
            #expect(wrong.headers["www-authenticate"]?.hasPrefix("Basic ") == true)
            let post = formBody([
                "grant_type": "refresh_token", "refresh_token": token, "client_id": configuration.clientID,
                "client_secret": configuration.clientSecret ?? "",
            ])
            #expect(try await client.send("POST", "/oauth2/token", headers: form, body: post).status == 401)
            // Both at once is one too many.
            let both = try await client.send(
                "POST", "/oauth2/token", headers: Self.basic(configuration), body: post)
            #expect(both.status == 400)
            // Nothing of this has spent the token.
            let good = try await client.send(
                "POST", "/oauth2/token", headers: Self.basic(configuration), body: body)
            #expect(good.status == 200)
        }
    }

    @Test func pathMethodTypeAndFieldsAreChecked() async throws {
        var configuration = DoubleConfiguration(.oauth2)
        configuration.scope = "read"
        try await withDouble(configuration) { [configuration] double, client in
            let token = try #require(double.grant("alice").refreshToken)
            let headers = Self.basic(configuration)
            func post(_ body: String, to path: String = "/oauth2/token", type: String? = nil) async throws -> String {
                let headers = type.map { headers.merging(["Content-Type": $0]) { $1 } } ?? headers
                let reply = try await client.send("POST", path, headers: headers, body: body)
                return "\(reply.status) \(reply.body.prefix { $0 != "," })"
            }
            let good = formBody(["grant_type": "refresh_token", "refresh_token": token, "scope": "read"])
            #expect(try await post(good, to: "/oauth/token") == #"404 {"error":"not_found""#)
            #expect(try await client.send("GET", "/oauth2/token").status == 405)
            #expect(try await post(good, type: "application/json") == #"400 {"error":"invalid_request""#)
            #expect(try await post(good, type: "text/plain") == #"400 {"error":"invalid_request""#)
            #expect(try await post(good + "&grant_type=refresh_token") == #"400 {"error":"invalid_request""#)
            #expect(try await post("grant_type=password") == #"400 {"error":"unsupported_grant_type""#)
            #expect(try await post("grant_type=refresh_token&scope=read") == #"400 {"error":"invalid_request""#)
            let unscoped = formBody(["grant_type": "refresh_token", "refresh_token": token])
            #expect(try await post(unscoped) == #"400 {"error":"invalid_scope""#)
            let unknown = formBody(["grant_type": "refresh_token", "refresh_token": "x", "scope": "read"])
            #expect(try await post(unknown) == #"400 {"error":"invalid_grant""#)
            #expect(try await post(good).hasPrefix("200 "))
            #expect(double.ledger.count { if case .malformed = $0.outcome { true } else { false } } == 8)
        }
    }

    @Test(arguments: DoubleStyle.Expiry.allCases)
    func theEndIsToldInEachStyle(_ expiry: DoubleStyle.Expiry) async throws {
        let configuration = DoubleConfiguration(
            .oauth2, style: DoubleStyle(bodies: [.json], clientAuthentication: .none, expiry: expiry))
        try await withDouble(configuration) { double, client in
            let token = try #require(double.grant("alice").refreshToken)
            let before = Int64(Date().timeIntervalSince1970)
            let reply = try await client.send(
                "POST", "/oauth2/token", headers: json,
                body: try jsonBody([
                    "grant_type": "refresh_token", "refresh_token": token, "client_id": configuration.clientID,
                ]))
            #expect(reply.status == 200)
            let ends = (before + 2399)...(Int64(Date().timeIntervalSince1970) + 2401)
            let told = try #require(double.ledger.first?.issued?.expiresAt).flooredSeconds
            #expect(ends.contains(told))
            struct Answer: Decodable {
                var accessToken: String
                var seconds: Int64?
                var text: String?
                var at: Int64?
                var atText: String?

                private enum CodingKeys: String, CodingKey {
                    case accessToken = "access_token"
                    case expiresIn = "expires_in"
                    case expiresAt = "expires_at"
                }

                init(from decoder: any Decoder) throws {
                    let container = try decoder.container(keyedBy: CodingKeys.self)
                    accessToken = try container.decode(String.self, forKey: .accessToken)
                    seconds = try? container.decode(Int64.self, forKey: .expiresIn)
                    text = try? container.decode(String.self, forKey: .expiresIn)
                    at = try? container.decode(Int64.self, forKey: .expiresAt)
                    atText = try? container.decode(String.self, forKey: .expiresAt)
                }
            }
            let answer = try reply.json(Answer.self)
            switch expiry {
            case .expiresIn: #expect([2399, 2400].contains(answer.seconds))
            case .expiresInText: #expect(["2399", "2400"].contains(answer.text))
            case .expiresAtSeconds: #expect(answer.at == told)
            case .expiresAtMilliseconds: #expect(answer.at == told * 1000)
            case .expiresAtISO:
                let date = try Date(try #require(answer.atText), strategy: .iso8601)
                #expect(Int64(date.timeIntervalSince1970) == told)
            case .claim:
                #expect(answer.seconds == nil && answer.at == nil)
                let payload = String(answer.accessToken.split(separator: ".")[1])
                let padded =
                    payload.replacing("-", with: "+").replacing("_", with: "/")
                    + String(repeating: "=", count: (4 - payload.count % 4) % 4)
                struct Claims: Decodable { var exp: Int64 }
                let claims = try JSONDecoder().decode(Claims.self, from: try #require(Data(base64Encoded: padded)))
                #expect(claims.exp == told)
            }
        }
    }

    @Test func clientCredentialsBringNoRefreshToken() async throws {
        let configuration = DoubleConfiguration(.clientCredentials)
        try await withDouble(configuration) { double, client in
            double.grant(configuration.clientID)
            let reply = try await client.send(
                "POST", "/oauth2/token", headers: Self.basic(configuration), body: "grant_type=client_credentials")
            #expect(reply.status == 200 && !reply.body.contains("refresh_token"))
            let refresh = try await client.send(
                "POST", "/oauth2/token", headers: Self.basic(configuration),
                body: "grant_type=refresh_token&refresh_token=x")
            #expect(refresh.status == 400 && refresh.body.contains("unsupported_grant_type"))
        }
    }
}
