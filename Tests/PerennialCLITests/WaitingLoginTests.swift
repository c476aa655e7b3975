import Perennial
import PerennialConfiguration
import Providers
import RefreshCore
import Testing

@testable import PerennialCLI

/// Which of the log-ins that wait a command means: never two people's for one account.
struct WaitingLoginTests {
    private func catalog() throws -> ProviderCatalog {
        try PerennialConfiguration.parse(
            """
            redis: { url: "redis://localhost" }
            providers:
              p: { token_url: "https://h/t", client_id: x, login: { account_id: /user } }

            """, environment: ["HOME": "/tmp"]
        ).providers
    }

    private func login(
        _ attempt: String, for account: String? = nil, user: String? = nil, provider: String = "p", body: String? = nil,
        at milliseconds: Int64 = 1_800_000_000_000
    ) throws -> WaitingLogin {
        let user = user.map { #","user":"\#($0)""# } ?? ""
        let body = body ?? #"{"access_token":"planted-a","refresh_token":"planted-r"\#(user)}"#
        let kept = KeptLogin(
            attempt: attempt, provider: try ProviderName(provider), account: try account.map { try AccountID($0) },
            name: nil, pool: nil, tier: nil, resumes: false, nonce: nil,
            response: RawTokenResponse(
                status: 200, headers: [], body: Array(body.utf8), requestedAt: WallTime(milliseconds: milliseconds)))
        return WaitingLogin(attempt, kept: kept, catalog: try catalog())
    }

    private func chosen(
        _ all: [WaitingLogin], attempt: String? = nil, account: String? = nil
    ) throws -> [String] {
        try WaitingLogin.chosen(
            from: all, attempt: attempt.map { AttemptID(rawValue: $0) }, account: try account.map { try AccountID($0) }
        ).map(\.attempt)
    }

    @Test func `without an account all of them are meant`() throws {
        let all = [try login("1", user: "ann"), try login("2", user: "bob"), try login("3")]
        #expect(try chosen(all) == ["1", "2", "3"])
        #expect(try chosen(all, attempt: "2") == ["2"])
        #expect(try chosen([], account: "ann") == [])
    }

    @Test func `an account takes the one that is its own or names none`() throws {
        let two = [try login("1", user: "ann"), try login("2", for: "bob")]
        #expect(try chosen(two, account: "ann") == ["1"])
        #expect(try chosen(two, account: "bob") == ["2"])
        #expect(try chosen(two + [try login("3")], account: "carol") == ["3"])
        // One that cannot be stored anyway does not make it unclear.
        #expect(try chosen(two + [try login("3"), try login("4", body: "<html>")], account: "carol") == ["3"])
        // Under another id, where there is nothing to mistake it for.
        #expect(try chosen([two[0]], account: "carol") == ["1"])
    }

    @Test func `what is not clear is refused, with a list`() throws {
        let all = [
            try login("1", user: "ann"), try login("2", user: "bob", at: 1_800_000_060_000), try login("3"),
            try login("4"), try login("5", provider: "gone"),
        ]
        func words(_ list: [WaitingLogin], attempt: String? = nil, account: String? = nil) -> String {
            do {
                return "\(try chosen(list, attempt: attempt, account: account))"
            } catch {
                return "\(error)"
            }
        }
        let two = words(Array(all[0...1]), account: "carol")
        #expect(two.contains("none of the 2") && two.contains("--attempt"), "\(two)")
        #expect(two.contains("1, provider p, account ann, received 2027-01-15T08:00:00Z"), "\(two)")
        #expect(two.contains("2, provider p, account bob, received 2027-01-15T08:01:00Z"), "\(two)")
        let four = words(all, account: "carol")
        #expect(four.contains("2 log-ins") && four.contains("3, provider p, account not known"), "\(four)")
        #expect(!four.contains("1, provider p"))
        #expect(words(all, account: "ann").contains("3 log-ins"))
        let unknown = words(all, attempt: "9")
        #expect(unknown.contains("no log-in \"9\"") && unknown.contains("gone is not in this configuration"))
        #expect(![two, four, unknown].contains { $0.contains("planted") })
    }
}
