import RefreshCore
import Testing

@Suite("Secrets")
struct SecretTests {
    static let plaintext = "hunter2-very-secret"

    @Test("no way of printing shows a secret, alone or inside something")
    func neverPrinted() throws {
        let secret = Secret(Self.plaintext)
        let put = AccountPut(
            id: try AccountID("a"), provider: acme, name: nil,
            credentials: Credentials(refreshToken: secret, accessToken: secret), dueAt: WallTime(milliseconds: 0))
        let entry = JournalEntry(
            account: put.id, provider: acme, attempt: AttemptID(rawValue: "x"), generation: Generation(1),
            spentRefreshToken: secret, isRecovery: false,
            response: RawTokenResponse(status: 200, headers: [], body: [], requestedAt: WallTime(milliseconds: 0)))
        for value in [secret, put, entry, [secret], ["k": secret], Optional(secret) as Any] as [Any] {
            var dumped = ""
            dump(value, to: &dumped)
            for text in ["\(value)", String(describing: value), String(reflecting: value), dumped] {
                #expect(!text.contains("hunter2"))
            }
        }
        #expect("\(secret)" == "set")
        #expect("\(Secret(""))" == "not set")
        #expect(secret.reveal() == Self.plaintext)
    }

    @Test("a token has visible ASCII characters only, and is not empty or endless")
    func invalidTokens() throws {
        for good in ["x", "a.b-c_d~e+f/g=", "!\"#$%&'()*", String(repeating: "x", count: 65536)] {
            try InvalidToken.check(Secret(good), field: "refresh_token")
        }
        for bad in [
            "", " ", "a b", "a\r\nX-Evil: 1", "a\u{7f}", "tokén", "\u{0}", String(repeating: "x", count: 65537),
        ] {
            #expect(throws: InvalidToken.self) { try InvalidToken.check(Secret(bad), field: "refresh_token") }
        }
        do throws(InvalidToken) {
            try InvalidToken.check(Secret("hunter2 with a space"), field: "access_token")
        } catch {
            #expect(error.description.hasPrefix("access_token "))
            #expect(!error.description.contains("hunter2"))
        }
    }
}

@Suite("What may be stored for an account")
struct AccountIntakeTests {
    private let now = WallTime(milliseconds: 1_800_000_000_000)

    private func admit(
        provider: String = "acme", name: String? = nil, refresh: String = "rt", access: String? = "at",
        expiry: Duration? = .seconds(3600)
    ) throws -> AccountPut {
        let policies = TestPolicies()
        return try AccountIntake(policies: policies).admit(
            id: try AccountID("a"), provider: try ProviderName(provider), name: name,
            credentials: Credentials(
                refreshToken: Secret(refresh), accessToken: access.map { Secret($0) },
                expiresAt: expiry.map { now + $0 }),
            overwrite: .always, now: now)
    }

    private struct TestPolicies: PolicySource {
        var providers: [ProviderName] { [acme] }
        func policy(for provider: ProviderName) -> RefreshPolicy? { provider == acme ? .test() : nil }
    }

    @Test("an account with tokens is due before they expire, one without is due at once, never in the past")
    func due() throws {
        let due = try admit().dueAt
        #expect(due > now)
        #expect(due <= now + .seconds(3300))
        #expect(try admit(access: nil, expiry: nil).dueAt == now)
        #expect(try admit(expiry: .seconds(-100)).dueAt == now)
    }

    @Test("what cannot work is refused")
    func refused() {
        #expect(throws: AccountIntake.Refusal.self) { try admit(provider: "nobody") }
        #expect(throws: AccountIntake.Refusal.self) { try admit(refresh: "") }
        #expect(throws: AccountIntake.Refusal.self) { try admit(access: "a b") }
        #expect(throws: AccountIntake.Refusal.self) { try admit(expiry: nil) }
        #expect(throws: AccountIntake.Refusal.self) { try admit(access: nil) }
        #expect(throws: AccountIntake.Refusal.self) { try admit(name: String(repeating: "n", count: 201)) }
        #expect(throws: AccountIntake.Refusal.self) { try admit(name: "a\u{1b}[31m") }
    }
}
