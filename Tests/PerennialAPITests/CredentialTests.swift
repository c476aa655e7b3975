import RefreshCore
import Testing

@testable import PerennialAPI

/// Accounts of providers without refresh tokens.
@Suite struct CredentialTests {
    @Test func fieldsTakeThePlaceOfARefreshToken() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let body = #"{"provider":"intranet","credentials":{"username":"al:ice","password":"p\"w\u0041"}}"#
            let created = try await client.send("PUT", "/v1/accounts/a", body: body)
            #expect(created.status == 201)
            #expect(!created.body.contains("al:ice"))
            #expect(try await client.send("PUT", "/v1/accounts/b", body: #"{"provider":"robot"}"#).status == 201)
            #expect(
                try await client.send("PUT", "/v1/accounts/c", body: #"{"provider":"robot","credentials":{}}"#).status
                    == 201)
        }
        let stored = try #require(house.fleet.refreshToken(of: "a"))
        #expect(
            AccountCredential(stored)
                == .fields(AccountFields(["username": Secret("al:ice"), "password": Secret("p\"wA")])))
        #expect(AccountCredential(try #require(house.fleet.refreshToken(of: "b"))) == .fields(AccountFields()))
    }

    @Test(arguments: [
        (
            #"{"provider":"intranet","refresh_token":"sesame"}"#, "invalid_account",
            "needs credentials: username, password"
        ),
        (#"{"provider":"intranet"}"#, "malformed_body", "credentials.username is missing"),
        (
            #"{"provider":"intranet","credentials":{"username":"sesame"}}"#, "malformed_body",
            "credentials.password is missing"
        ),
        (
            #"{"provider":"intranet","credentials":{"username":"sesame","password":"sesame","realm":"x"}}"#,
            "invalid_account", "credentials.realm is unknown"
        ),
        (
            #"{"provider":"intranet","credentials":{"username":"","password":"sesame"}}"#, "malformed_body",
            "username is missing"
        ),
        (#"{"provider":"intranet","credentials":"sesame"}"#, "malformed_body", "has to be an object of strings"),
        (#"{"provider":"intranet","credentials":{"username":7}}"#, "malformed_body", "\"username\" has to be a string"),
        (#"{"provider":"intranet","credentials":{"a":"x","a":"y"}}"#, "malformed_body", "has \"a\" twice"),
        (#"{"provider":"intranet","credentials":{"sesame sesame":"x"}}"#, "malformed_body", "no name of a field"),
        (#"{"provider":"acme","credentials":{"username":"sesame"}}"#, "invalid_account", "have a refresh_token"),
        (#"{"provider":"acme","credentials":{}}"#, "malformed_body", "refresh_token is missing"),
        (#"{"provider":"acme","refresh_token":"sesame","credentials":{}}"#, "malformed_body", "exclude each other"),
        (#"{"provider":"robot","refresh_token":"sesame"}"#, "invalid_account", "have no refresh_token"),
    ]) func whatDoesNotFitIsRefused(body: String, code: String, detail: String) async throws {
        let house = try House()
        try await house.serve { client async throws in
            let answer = try await client.send("PUT", "/v1/accounts/a", body: body)
            #expect(answer.status == 400)
            #expect(answer.member("type") == "urn:perennial:problem:\(code)", "\(answer.body)")
            #expect(answer.member("detail")?.contains(detail) == true, "\(answer.body)")
            #expect(!answer.body.contains("sesame"))
        }
    }
}
