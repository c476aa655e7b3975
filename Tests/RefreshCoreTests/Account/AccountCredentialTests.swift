import RefreshCore
import Testing

struct AccountCredentialTests {
    private func fields(_ values: [String: String]) -> AccountCredential {
        .fields(AccountFields(values.mapValues { Secret($0) }))
    }

    @Test(arguments: [
        [:], ["a": "b"], ["username": "al:ice", "password": "1:x{}\"\n\u{1}é😀"], ["a": ""], ["b": "1:a1:b", "a": "x"],
    ]) func fieldsSurvivePacking(values: [String: String]) {
        let packed = fields(values).secret
        #expect(AccountCredential(packed) == fields(values))
        // No refresh token can look like this.
        #expect(throws: InvalidToken.self) { try InvalidToken.check(packed, field: "refresh_token") }
        #expect("\(packed)" == "set")
    }

    @Test func theOrderOfTheNamesDoesNotMatter() {
        #expect(fields(["a": "1", "b": "2"]).secret == fields(["b": "2", "a": "1"]).secret)
        #expect(fields(["a": "1", "b": "2"]).secret != fields(["a": "2", "b": "1"]).secret)
    }

    @Test(arguments: [
        "plain", "", "fields:1:a1:b", "\u{1}", "\u{1}fields", "\u{1}fields:1", "\u{1}fields:1:", "\u{1}fields:9:a1:b",
        "\u{1}fields:1:a", "\u{1}fields:1:a1:b1:a1:c", "\u{1}fields:-1:a1:b", "\u{1}fields:1:a99999999:b",
        "\u{1}fields:x",
        "\u{1}fields:1:é1:b",
    ]) func everythingElseIsARefreshToken(text: String) {
        #expect(AccountCredential(Secret(text)) == .refreshToken(Secret(text)))
        #expect(AccountCredential(Secret(text)).secret == Secret(text))
    }

    @Test func namesOfFields() {
        for name in ["a", "user_name", "A1"] { #expect(AccountFields.isName(name)) }
        for name in ["", "1a", "_a", "a-b", "a.b", "é", String(repeating: "a", count: 65)] {
            #expect(!AccountFields.isName(name))
        }
    }

    // MARK: Intake

    private struct Policies: PolicySource {
        var fields: [String]?
        func policy(for provider: ProviderName) -> RefreshPolicy? {
            RefreshPolicy(provider: provider, accountFields: fields)
        }
        var providers: [ProviderName] { [] }
    }

    private func refusal(_ wanted: [String]?, _ credential: AccountCredential) throws -> String? {
        do {
            let put = try AccountIntake(policies: Policies(fields: wanted)).admit(
                id: try AccountID("a"), provider: try ProviderName("p"), name: nil,
                credentials: Credentials(refreshToken: credential.secret), overwrite: .always,
                now: WallTime(milliseconds: 0))
            #expect(put.credentials.refreshToken == credential.secret)
            return nil
        } catch let refusal as AccountIntake.Refusal {
            #expect(!refusal.description.contains("hunter"))
            return "\(refusal.code): \(refusal)"
        }
    }

    @Test func anAccountIsMadeOfWhatItsProviderNeeds() throws {
        let both = fields(["username": "hunter", "password": "hunter"])
        let token = AccountCredential.refreshToken(Secret("hunter"))
        #expect(try refusal(nil, token) == nil)
        #expect(try refusal(["username", "password"], both) == nil)
        #expect(try refusal([], fields([:])) == nil)
        #expect(try refusal(nil, fields([:])) == "missing: refresh_token is missing")
        #expect(try refusal(nil, both)?.contains("have a refresh_token, not credentials") == true)
        #expect(
            try refusal(["username"], token)?.contains("have no refresh_token; an account needs credentials: username")
                == true)
        #expect(try refusal([], token)?.contains("have no refresh_token") == true)
        #expect(
            try refusal(["username", "password"], fields(["username": "hunter"]))
                == "missing: credentials.password is missing: an account of provider \"p\" needs credentials: username, password"
        )
        #expect(try refusal(["username"], both)?.contains("credentials.password is unknown") == true)
        #expect(
            try refusal([], both)?.contains("credentials.password is unknown: an account of provider \"p\" needs none")
                == true)
        #expect(try refusal(["username"], fields(["username": ""]))?.hasPrefix("missing: credentials.username") == true)
        #expect(try refusal(["username"], fields(["username": "hunter\u{0}"]))?.contains("holds a NUL") == true)
        let long = fields(["username": String(repeating: "x", count: AccountFields.maximumLength + 1)])
        #expect(try refusal(["username"], long)?.contains("at most") == true)
        #expect(try refusal(nil, .refreshToken(Secret("a b")))?.contains("holds a character") == true)
    }
}
