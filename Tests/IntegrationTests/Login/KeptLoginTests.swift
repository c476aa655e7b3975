import Glibc
import MockProvider
import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Tokens that were received are never lost, whatever becomes of Redis or of the program in between.
@Suite(.timeLimit(.minutes(5)))
struct KeptLoginTests {
    @Test func whileRedisIsAwayItWaitsAndThenStores() async throws {
        try await LoginSite.run { site in
            let login = try await site.login([])
            let address = try await site.address(login)
            await site.redis.pause()
            async let page = site.browse(address)
            try await login.waitUntil("waiting for Redis", timeout: .seconds(60)) {
                login.log.contains("trying again until it does")
            }
            #expect(site.keptLogins.count == 1)
            await site.redis.resume()
            #expect(try await site.end(of: login) == 0, "\(login.log)")
            #expect(login.log.contains("alice: added, generation 1"), "\(login.log)")
            _ = try await page
            #expect(site.keptLogins == [])
            #expect(site.expectNoSecrets(login) == [])
        }
    }

    @Test func interruptedItSaysHowToGoOnAndThatWorks() async throws {
        try await LoginSite.run { site in
            let login = try await site.login([])
            let address = try await site.address(login)
            await site.redis.pause()
            async let page = site.browse(address)
            try await login.waitUntil("waiting for Redis", timeout: .seconds(60)) {
                login.log.contains("trying again until it does")
            }
            await login.send(SIGINT)
            #expect(try await site.end(of: login) == 2)
            #expect(login.log.contains("interrupted") && login.log.contains("perennial login --unfinished"))
            #expect(site.expectNoSecrets(login) == [])
            _ = try? await page
            #expect(site.keptLogins.count == 1)
            try Self.expectSealed(site)
            await site.redis.resume()
            #expect(try await site.perennial("status").output.contains("1 log-in was received on this machine"))

            let later = try await site.perennial("login", "--unfinished")
            #expect(later.code == 0, "\(later.output)")
            #expect(later.output.contains("alice: "), "\(later.output)")
            #expect(site.keptLogins == [])
            #expect(try await site.perennial("refresh", "alice").code == 0)
            let none = try await site.perennial("login", "--unfinished")
            #expect(none.code == 0 && none.output.contains("no log-in waits"))
        }
    }

    /// Killed between the provider's answer and the store.
    @Test func killedTheAnswerIsStillThere() async throws {
        try await LoginSite.run { site in
            let login = try await site.login([])
            let address = try await site.address(login)
            await site.redis.pause()
            async let page = site.browse(address)
            // Under its own name: before that it is a draft, and nothing is done with the answer yet.
            try await login.waitUntil("keeping it", timeout: .seconds(60)) {
                site.keptLogins.contains { $0.hasSuffix(".login") }
            }
            await login.kill()
            _ = try? await page
            await site.redis.resume()
            let later = try await site.perennial("login", "--unfinished")
            #expect(later.code == 0 && later.output.contains("alice: "), "\(later.output)")
            #expect(try await site.perennial("refresh", "alice").code == 0)
            #expect(try await site.mock.totals().duplicateSpends == 0)
        }
    }

    @Test func anIdThatCannotBeOneIsAskedForLater() async throws {
        try await LoginSite.run(["params: { prompt: none, login_hint: \"a b\" }"]) { site in
            let login = try await site.login([])
            _ = try await site.browse(try await site.address(login))
            #expect(try await site.end(of: login) == 1)
            #expect(login.log.contains("perennial login --unfinished --account ID"), "\(login.log)")
            let later = try await site.perennial("login", "--unfinished", "--account", "named")
            #expect(later.code == 0 && later.output.contains("named: added"), "\(later.output)")
        }
    }

    private static func expectSealed(_ site: LoginSite) throws {
        for name in site.keptLogins {
            let path = site.workshop.path("state/logins/\(name)")
            let text = TextFile.read(path) ?? ""
            #expect(!text.isEmpty)
            let bytes = Data(base64Encoded: text).map { String(decoding: $0, as: UTF8.self) } ?? text
            #expect(!bytes.contains("mrt_") && !bytes.contains("access_token"))
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }
}
