import Crypto
import FoundationEssentials
import Testing

@testable import MockProvider

/// The single providers, asked as their own clients ask, against the answers that they are known to give.
@Suite("Doubles of single providers", .timeLimit(.minutes(10)))
struct NamedDoubleTests {
    @Test func claude() async throws {
        try await withDouble(DoubleConfiguration(.claude)) { double, client in
            let token = try #require(double.grant("alice").refreshToken)
            func refresh(_ token: String, client id: String = "app-claude") async throws -> RawHTTPClient.Reply {
                try await client.send(
                    "POST", "/v1/oauth/token", headers: json,
                    body: try jsonBody(["grant_type": "refresh_token", "refresh_token": token, "client_id": id]))
            }
            let good = try await refresh(token)
            #expect(good.status == 200)
            #expect(good.body.contains(#""organization":{"uuid":"#) && good.body.contains(#""account":{"uuid":"#))
            let tokens = try good.json(IssuedTokens.self)
            #expect(tokens.refreshToken != token)
            let dead = try await refresh(token)
            #expect(dead.status == 400)
            #expect(
                dead.body == #"{"error":"invalid_grant","error_description":"Refresh token not found or invalid"}"#)
            #expect(try await refresh(token, client: "other").body.contains(#""error":"invalid_client""#))
            let asForm = try await client.send(
                "POST", "/v1/oauth/token", headers: form,
                body: formBody(["grant_type": "refresh_token", "refresh_token": token, "client_id": "app-claude"]))
            #expect(asForm.status == 400 && asForm.body.contains("invalid_request_error"))
            let formerHost = try await client.send("POST", "/oauth/token", headers: json, body: "{}")
            #expect(formerHost.status == 404)
            #expect(formerHost.body == #"{"type":"error","error":{"type":"not_found_error","message":"Not found"}}"#)
        }
    }

    @Test func claudesAPI() async throws {
        try await withDouble(DoubleConfiguration(.claude)) { double, client in
            func call(_ token: String) async throws -> RawHTTPClient.Reply {
                try await client.send("POST", "/v1/messages", headers: ["Authorization": "Bearer \(token)"])
            }
            let grant = double.grant("alice")
            #expect(try await call(grant.accessToken).status == 200)
            let expired = try await call(double.grant("bob", lifetime: .seconds(-1)).accessToken)
            #expect(expired.status == 401)
            #expect(expired.body.contains(#""type":"authentication_error""#))
            #expect(
                expired.body.contains(#""details":{"error_visibility":"user_facing","error_code":"token_expired"}"#))
            double.revoke("alice")
            let revoked = try await call(grant.accessToken)
            #expect(revoked.status == 401 && revoked.body.contains("OAuth access token has been revoked"))
        }
    }

    @Test func gemini() async throws {
        let configuration = DoubleConfiguration(.gemini)
        try await withDouble(configuration) { double, client in
            let token = try #require(double.grant("alice").refreshToken)
            func refresh(_ token: String, secret: String? = nil) async throws -> RawHTTPClient.Reply {
                try await client.send(
                    "POST", "/token", headers: form,
                    body: formBody([
                        "client_id": configuration.clientID,
                        "client_secret": secret ?? configuration.clientSecret ?? "", "refresh_token": token,
                        "grant_type": "refresh_token",
                    ]))
            }
            for _ in 0..<2 {
                let good = try await refresh(token)
                #expect(good.status == 200)
                #expect(try good.json(IssuedTokens.self).refreshToken == nil)
            }
            let wrong = try await refresh(token, secret: "guess")
            #expect(wrong.status == 401)
            #expect(wrong.body == #"{"error":"invalid_client","error_description":"The OAuth client was not found."}"#)
            #expect(
                try await refresh("1//unknown").body == #"{"error":"invalid_grant","error_description":"Bad Request"}"#)
            double.revoke("alice")
            #expect(
                try await refresh(token).body
                    == #"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#)
            let call = try await client.send("GET", "/v1/models", headers: ["Authorization": "Bearer x"])
            #expect(call.status == 401 && call.body.contains(#""status":"UNAUTHENTICATED""#))
        }
    }

    @Test(arguments: [true, false])
    func openAI(asJSON: Bool) async throws {
        try await withDouble(DoubleConfiguration(.openai)) { double, client in
            let token = try #require(double.grant("alice").refreshToken)
            func refresh(_ token: String, scope: String = "openid profile email") async throws -> RawHTTPClient.Reply {
                let fields: KeyValuePairs = [
                    "grant_type": "refresh_token", "refresh_token": token, "client_id": "app-openai", "scope": scope,
                ]
                let members = Dictionary(uniqueKeysWithValues: fields.map { ($0.key, $0.value) })
                return try await client.send(
                    "POST", "/oauth/token", headers: asJSON ? json : form,
                    body: asJSON ? try jsonBody(members) : formBody(fields))
            }
            let good = try await refresh(token)
            #expect(good.status == 200 && good.body.contains(#""id_token":""#))
            #expect(try good.json(IssuedTokens.self).accessToken.split(separator: ".").count == 3)
            let reused = try await refresh(token)
            #expect(reused.status == 401 && reused.body.contains(#""code":"refresh_token_reused""#))
            let unscoped = try await refresh(token, scope: "openid")
            #expect(unscoped.status == 400 && unscoped.body.contains(#""code":"invalid_scope""#))
        }
    }

    @Test func pixiv() async throws {
        let configuration = DoubleConfiguration(.pixiv)
        try await withDouble(configuration) { double, client in
            let token = try #require(double.grant("alice").refreshToken)
            func refresh(
                _ token: String, at time: String? = nil, hash: String? = nil, secure: String = "1"
            ) async throws -> RawHTTPClient.Reply {
                let time = time ?? Date().ISO8601Format().replacing("Z", with: "+00:00")
                let digest = Insecure.MD5.hash(data: Data((time + configuration.hashSecret).utf8))
                let hex = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                var headers = form.merging(["X-Client-Time": time, "X-Client-Hash": hash ?? hex]) { $1 }
                headers.merge(configuration.requiredHeaders) { $1 }
                return try await client.send(
                    "POST", "/auth/token", headers: headers,
                    body: formBody([
                        "get_secure_url": secure, "client_id": configuration.clientID,
                        "client_secret": configuration.clientSecret ?? "", "grant_type": "refresh_token",
                        "refresh_token": token,
                    ]))
            }
            struct Answer: Decodable { var response: IssuedTokens }
            let good = try await refresh(token)
            #expect(good.status == 200)
            // As a rule the refresh token stays what it is.
            #expect(try good.json(Answer.self).response.refreshToken == token)
            let invalid = try await refresh("unknown")
            #expect(invalid.status == 400)
            #expect(
                invalid.body
                    == #"{"has_error":true,"errors":{"system":{"message":"Invalid refresh token","code":1508}},"error":"invalid_grant"}"#
            )
            for reply in [
                try await refresh(token, at: "2020-01-01T00:00:00+00:00"),
                try await refresh(token, at: Date().ISO8601Format()),
                try await refresh(token, hash: String(repeating: "0", count: 32)),
            ] {
                #expect(reply.status == 403 && reply.body.isEmpty)
            }
            #expect(try await refresh(token, secure: "0").status == 400)
            let call = try await client.send("GET", "/v1/user/detail", headers: ["Authorization": "Bearer x"])
            #expect(call.status == 400)
            #expect(call.body.contains("Error occurred at the OAuth process") && call.body.contains("invalid_grant"))
        }
    }

    @Test func warp() async throws {
        let configuration = DoubleConfiguration(.warp)
        try await withDouble(configuration) { double, client in
            let token = try #require(double.grant("alice").refreshToken)
            func refresh(
                _ token: String, query: String = "?key=AIza-warp%26key%3D1", version: Bool = true
            ) async throws -> RawHTTPClient.Reply {
                let headers = version ? form.merging(configuration.requiredHeaders) { $1 } : form
                return try await client.send(
                    "POST", "/proxy/token\(query)", headers: headers,
                    body: formBody(["grant_type": "refresh_token", "refresh_token": token]))
            }
            let good = try await refresh(token)
            let tokens = try good.json(IssuedTokens.self)
            #expect(good.status == 200 && tokens.expiresIn == nil && tokens.refreshToken == token)
            #expect(tokens.accessToken.split(separator: ".").count == 3)
            let unknown = try await refresh("unknown")
            #expect(
                unknown.body
                    == #"{"error":{"code":400,"message":"INVALID_REFRESH_TOKEN","status":"INVALID_ARGUMENT"}}"#)
            let keyless = try await refresh(token, query: "")
            #expect(keyless.status == 400 && keyless.body.contains("API key not valid"))
            #expect(try await refresh(token, version: false).status == 403)
            double.revoke("alice")
            #expect(try await refresh(token).body.contains(#""message":"TOKEN_EXPIRED""#))
        }
    }

    @Test func intranet() async throws {
        try await withDouble(DoubleConfiguration(.intranet)) { double, client in
            let password = try #require(double.grant("alice").password)
            func login(_ user: String, _ password: String) async throws -> RawHTTPClient.Reply {
                try await client.send(
                    "POST", "/auth/login", headers: json, body: try jsonBody(["username": user, "password": password]))
            }
            let good = try await login("alice", password)
            #expect(good.status == 200)
            struct Answer: Decodable {
                struct Data: Decodable { var token: String }
                var code: Int
                var data: Data
            }
            let answer = try good.json(Answer.self)
            #expect(answer.code == 0)
            let call = try await client.send(
                "GET", "/api/me", headers: ["Authorization": "Bearer \(answer.data.token)"])
            #expect(call.body == #"{"code":0,"data":{"account":"alice"}}"#)
            let stale = try await client.send("GET", "/api/me", headers: ["Authorization": "Bearer x"])
            #expect(stale.status == 200 && stale.body.hasPrefix(#"{"code":40003,"#))
            for (user, password) in [("alice", "guess"), ("nobody", password)] {
                let wrong = try await login(user, password)
                #expect(wrong.status == 200 && wrong.body.hasPrefix(#"{"code":40001,"#))
            }
        }
    }
}
