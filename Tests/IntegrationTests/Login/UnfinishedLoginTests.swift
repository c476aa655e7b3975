import Perennial
import PerennialConfiguration
import PerennialServers
import RefreshCore
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `perennial login --unfinished` and `--discard`, with log-ins that have waited for a while.
@Suite(.timeLimit(.minutes(5)))
struct UnfinishedLoginTests {
    /// Redis was away, somebody pressed ctrl-C and came back two hours later: the ID token has long ended.
    @Test func whatHasWaitedLongerThanItsIDTokenLivesIsStored() async throws {
        try await LoginSite.run { site in
            try site.wait("a1", user: "alice", receivedAgo: .seconds(7200), idTokenLife: .seconds(3600))
            let later = try await site.perennial("login", "--unfinished")
            #expect(later.code == 0 && later.output.contains("alice: added, generation 1"), "\(later.output)")
            #expect(site.keptLogins == [])
            #expect(try await site.perennial("token", "get", "alice").output.contains("access-of-a1"))
            // What the answer said of the grant counts from the log-in on.
            #expect(try await site.account("alice").contains(#""grant_expires_at":"2"#))
        }
    }

    @Test func tokensThatOnlyTheConfigurationIsAgainstAreKept() async throws {
        try await LoginSite.run { site in
            let written = try #require(TextFile.read(site.configuration))
            let issuer = "issuer: \"http://127.0.0.1:\(site.mock.port)\""
            try #require(written.contains(issuer))
            try TextFile.write(
                written.replacing(issuer, with: "issuer: \"https://wrong.example\""), to: site.configuration)
            try site.wait("a1", user: "alice")
            for _ in 0..<2 {
                let refused = try await site.perennial("login", "--unfinished")
                #expect(refused.code == 2 && refused.output.contains("login.issuer (iss)"), "\(refused.output)")
                #expect(refused.output.contains("--unfinished --attempt a1"), "\(refused.output)")
                #expect(refused.output.contains("--discard a1"), "\(refused.output)")
                #expect(site.keptLogins == ["a1.login"])
            }
            try TextFile.write(written, to: site.configuration)
            let later = try await site.perennial("login", "--unfinished", "--attempt", "a1")
            #expect(later.code == 0 && later.output.contains("alice: added"), "\(later.output)")
            #expect(site.keptLogins == [])
        }
    }

    @Test func twoPeoplesTokensDoNotGoIntoOneAccount() async throws {
        try await LoginSite.run { site in
            try site.wait("a1", user: "alice", receivedAgo: .seconds(20))
            try site.wait("b1", user: "bob", receivedAgo: .seconds(10))
            let unclear = try await site.perennial("login", "--unfinished", "--account", "shared")
            #expect(unclear.code == 1 && unclear.output.contains("name it with --attempt"), "\(unclear.output)")
            #expect(unclear.output.contains("a1, provider mock, account alice, received 20"), "\(unclear.output)")
            #expect(unclear.output.contains("b1, provider mock, account bob, received 20"), "\(unclear.output)")
            #expect(!unclear.output.contains("-of-a1") && !unclear.output.contains("-of-b1"))
            #expect(site.keptLogins == ["a1.login", "b1.login"])
            #expect(try await site.perennial("accounts", "show", "shared").code == 1)

            let one = try await site.perennial("login", "--unfinished", "--account", "shared", "--attempt", "b1")
            #expect(one.code == 0 && one.output.contains("shared: added, generation 1"), "\(one.output)")
            #expect(one.output.contains("1 more waits"), "\(one.output)")
            #expect(site.keptLogins == ["a1.login"])
            #expect(try await site.perennial("login", "--unfinished").code == 0)
            #expect(try await site.perennial("token", "get", "shared").output.contains("access-of-b1"))
            #expect(try await site.perennial("token", "get", "alice").output.contains("access-of-a1"))
            #expect(site.keptLogins == [])
        }
    }

    /// Two log-ins of one account: the newer one stays, whatever their names are.
    @Test func theNewestIsStoredLast() async throws {
        try await LoginSite.run { site in
            try site.wait("z1", user: "alice", receivedAgo: .seconds(20))
            try site.wait("a2", user: "alice", receivedAgo: .seconds(10))
            let both = try await site.perennial("login", "--unfinished")
            #expect(both.code == 0 && both.output.contains("alice: replaced, generation 2"), "\(both.output)")
            #expect(try await site.perennial("token", "get", "alice").output.contains("access-of-a2"))
        }
    }

    /// The answer of the store was lost, and may have been a yes.
    @Test func tokensThatAnAccountMayHaveDoNotGoIntoAnother() async throws {
        try await LoginSite.run { site in
            try site.wait("a1", user: "alice")
            #expect(try await site.perennial("login", "--unfinished").code == 0)
            try site.wait("a1", user: "alice", target: KeptLogin.Target(account: "alice", generation: 0))
            let other = try await site.perennial("login", "--unfinished", "--account", "bob")
            #expect(other.code == 2 && other.output.contains("may have these tokens by now"), "\(other.output)")
            #expect(try await site.perennial("accounts", "show", "bob").code == 1)
            #expect(site.keptLogins == ["a1.login"])
            // For alice it is the same change once more, and no new generation.
            let same = try await site.perennial("login", "--unfinished")
            #expect(same.code == 0 && same.output.contains("alice: replaced, generation 1"), "\(same.output)")
        }
    }

    @Test func whatIsOfNoUseCanBeDiscarded() async throws {
        try await LoginSite.run { site in
            try site.wait("a1", user: "alice", issuer: "https://wrong.example")
            // Redis is not needed for it.
            await site.redis.pause()
            let unknown = try await site.perennial("login", "--discard", "../a1", "--yes")
            #expect(unknown.code == 1 && unknown.output.contains("a1, provider mock"), "\(unknown.output)")
            let unsure = try await site.perennial("login", "--discard", "a1")
            #expect(unsure.code == 1 && unsure.output.contains("add --yes"), "\(unsure.output)")
            #expect(unsure.output.contains("login.issuer (iss)") && !unsure.output.contains("-of-a1"))
            #expect(site.keptLogins == ["a1.login"])
            let gone = try await site.perennial("login", "--discard", "a1", "--yes")
            #expect(gone.code == 0 && gone.output.contains("a1: discarded"), "\(gone.output)")
            #expect(site.keptLogins == [])
            await site.redis.resume()
            let none = try await site.perennial("login", "--unfinished")
            #expect(none.code == 0 && none.output.contains("no log-in waits"), "\(none.output)")
        }
    }

    @Test func whatHoldsNoTokensIsNotKept() async throws {
        try await LoginSite.run { site in
            try site.wait("a1", body: #"{"error":"bad_verification_code","error_description":"It has expired."}"#)
            let first = try await site.perennial("login", "--unfinished")
            #expect(first.code == 2 && first.output.contains("bad_verification_code"), "\(first.output)")
            #expect(site.keptLogins == [])
            #expect(try await site.perennial("login", "--unfinished").code == 0)
        }
    }

    @Test func wordsThatDoNotGoTogetherAreNamed() async throws {
        try await LoginSite.run { site in
            for (arguments, words) in [
                (["mock", "--attempt", "a1"], "--attempt goes with --unfinished"),
                (["mock", "--yes"], "--yes goes with --discard"),
                (["mock", "--discard", "a1"], "leave the others out"),
                (["--unfinished", "--discard", "a1"], "leave the others out"),
                (["--unfinished", "--attempt", "a1"], "no log-in \"a1\" waits"),
            ] {
                let process = try await site.workshop.start(
                    "login", site.workshop.perennial,
                    ["login"] + arguments
                        + ["--config", site.configuration, "--state-dir", site.workshop.path("state")])
                #expect(try await site.end(of: process) == 1)
                #expect(process.log.contains(words), "\(process.log)")
            }
        }
    }
}

extension LoginSite {
    /// Puts the answer to a log-in among those that wait. Its tokens are named after the attempt.
    ///
    /// - Parameter body: instead of tokens.
    fileprivate func wait(
        _ attempt: String, user: String = "", issuer: String? = nil, receivedAgo: Duration = .zero,
        idTokenLife: Duration = .seconds(3600), target: KeptLogin.Target? = nil, body: String? = nil
    ) throws {
        let configuration = try PerennialConfiguration.load(
            file: configuration, environment: ["HOME": workshop.path("home")],
            overrides: ConfigurationOverrides(stateDirectory: workshop.path("state")))
        let receivedAt = WallTime(seconds: Date().timeIntervalSince1970) - receivedAgo
        let end = (receivedAt + idTokenLife).milliseconds / 1000
        let claims =
            #"{"iss":"\#(issuer ?? "http://127.0.0.1:\(mock.port)")","aud":"test","sub":"\#(user)","exp":\#(end)}"#
        let idToken = [#"{"alg":"none"}"#, claims].map(Self.base64URL).joined(separator: ".") + ".c2ln"
        let tokens =
            #"{"access_token":"access-of-\#(attempt)","refresh_token":"refresh-of-\#(attempt)","expires_in":86400,"#
            + #""refresh_expires_in":8640000,"id_token":"\#(idToken)"}"#
        var kept = KeptLogin(
            attempt: attempt, provider: try ProviderName("mock"), account: nil, name: nil, pool: nil, tier: nil,
            resumes: false, nonce: nil,
            response: RawTokenResponse(
                status: 200, headers: [], body: Array((body ?? tokens).utf8), requestedAt: receivedAt))
        kept.target = target
        try LoginVault(configuration).keep(kept)
    }

    private static func base64URL(_ text: String) -> String {
        Data(text.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
            "=", with: "")
    }
}
