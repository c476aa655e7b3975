import CurlClient
import MockProvider
import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Accounts behind real proxies: tinyproxy (CONNECT), stunnel before it (TLS to the proxy), microsocks.
@Suite(.timeLimit(.minutes(5)))
struct ProxyTests {
    @Test func eachKindIsUsedAndProvesItInItsLog() async throws {
        try await ProxySite.run { site in
            for scheme in ["http", "https", "socks5", "socks5h"] {
                try await site.add(scheme, proxy: site.proxy(scheme))
                let (tunnels, relays) = (site.count("CONNECT localhost:\(site.mock.port)"), site.socks.log.count)
                let (output, code) = try await site.perennial("refresh", scheme)
                #expect(code == 0, "\(scheme): \(output)")
                #expect(output.contains("refreshed, generation 2"), "\(scheme): \(output)")
                switch scheme {
                case "http", "https":
                    // Once in the request line and nowhere else: the tunnel, and not the request itself.
                    #expect(site.count("CONNECT localhost:\(site.mock.port)") > tunnels, "\(scheme)")
                default:
                    #expect(site.socks.log.count > relays, "\(scheme)")
                }
            }
            // Who resolved the name: this side sends an address, the proxy gets a name.
            let lines = site.socks.log.split(separator: "\n").filter { $0.contains("connected to") }
            #expect(lines.count == 2)
            #expect(lines.first?.contains("connected to localhost:") == false, "\(lines)")
            #expect(lines.last?.contains("connected to localhost:") == true, "\(lines)")
            #expect(try await site.mock.totals().refreshes == 4)
        }
    }

    @Test func wrongCredentialsSpendNothingAndAreSaidClearly() async throws {
        try await ProxySite.run { site in
            for scheme in ["http", "https", "socks5", "socks5h"] {
                try await site.add(scheme, proxy: site.proxy(scheme, password: "planted-wrong"))
                let (output, code) = try await site.perennial("refresh", scheme)
                #expect(code == 2, "\(scheme): \(output)")
                #expect(
                    output.contains("the proxy \(scheme)://127.0.0.1:\(site.ports[scheme] ?? 0) could not be used"),
                    "\(scheme): \(output)")
                #expect(output.contains("does not take these credentials"), "\(scheme): \(output)")
                let shown = try await site.perennial("accounts", "show", scheme).output
                #expect(shown.contains("degraded") && shown.contains("unsent: the proxy \(scheme)://"), "\(shown)")
                #expect(shown.contains("(credentials set)"))
                // Not spent: with the right ones the same refresh token does its work.
                let file = site.workshop.path("\(scheme).proxy")
                try TextFile.write(site.proxy(scheme) + "\n", to: file)
                let edited = try await site.perennial("accounts", "edit", scheme, "--proxy-file", file)
                #expect(edited.code == 0, "\(edited.output)")
                let mended = try await site.perennial("refresh", scheme)
                #expect(mended.output.contains("refreshed, generation 2"), "\(scheme): \(mended.output)")
            }
            let totals = try await site.mock.totals()
            #expect(totals.tokenRequests == 4 && totals.refreshes == 4 && totals.duplicateSpends == 0)
            try await site.expectNoSecrets()
        }
    }

    /// Gone, or with a certificate that nobody vouches for: nothing ever leaves directly.
    @Test func aProxyThatDoesNotWorkIsNeverGoneRound() async throws {
        try await ProxySite.run { site in
            try await site.add("gone", proxy: "http://127.0.0.1:\(try FreePort.find())")
            try await site.add("gone-socks", proxy: "socks5://127.0.0.1:\(try FreePort.find())")
            try await site.add("bare", proxy: "socks5h://127.0.0.1:\(site.ports["socks5"] ?? 0)")
            // This provider's configuration names no authority for the proxy's certificate.
            try await site.add("untrusted", proxy: site.proxy("https"), provider: "led")
            for (account, words) in [
                ("gone", "could not be used"), ("gone-socks", "could not be used"),
                ("bare", "it wants a user name and password"), ("untrusted", "certificate"),
            ] {
                let (output, code) = try await site.perennial("refresh", account)
                #expect(code == 2, "\(account): \(output)")
                #expect(output.contains("the proxy ") && output.contains(words), "\(account): \(output)")
            }
            #expect(try await site.mock.totals().tokenRequests == 0)
        }
    }

    @Test func theProvidersProxyHoldsWhereAnAccountSaysNothing() async throws {
        try await ProxySite.run { site in
            try await site.add("follows", proxy: nil, provider: "led")
            try await site.add("direct", proxy: "direct", provider: "led")
            try await site.add("own", proxy: site.proxy("socks5h"), provider: "led")
            #expect(try await site.perennial("refresh", "follows").code == 0)
            #expect(site.count("CONNECT localhost:\(site.mock.port)") == 1)
            #expect(try await site.perennial("refresh", "own").code == 0)
            #expect(site.count("CONNECT localhost:\(site.mock.port)") == 1)
            await site.http.stop()
            // The one that follows fails with its proxy; the one that opted out does not notice.
            let (output, code) = try await site.perennial("refresh", "follows")
            #expect(code == 2 && output.contains("the proxy http://127.0.0.1"), "\(output)")
            #expect(try await site.perennial("refresh", "direct").code == 0)
            #expect(try await site.mock.totals().tokenRequests == 3)
            let checked = try await site.perennial("config", "check")
            #expect(checked.output.contains("(credentials set)"), "\(checked.output)")
            try await site.expectNoSecrets()
        }
    }

    /// A served fleet does the same, and what a machine's other users see of it holds no credentials.
    @Test func aRunningInstanceRefreshesThroughIt() async throws {
        try await ProxySite.run { site in
            try await site.add("served", proxy: site.proxy("https"))
            let instance = try await PerennialInstance.start(site.workshop, configuration: site.configuration)
            let url = "\(instance.origin)/v1/accounts/served/token"
            let answer = try await site.workshop.http.execute(.init(url: url))
            #expect(answer.status == 200)
            #expect(site.count("CONNECT localhost:\(site.mock.port)") == 1)
            _ = try await site.workshop.run("ps", "ps", ["-eo", "args"], timeout: .seconds(60))
            try await site.expectNoSecrets()
        }
    }
}

extension ProxySite {
    /// How often tinyproxy has logged this.
    func count(_ words: String) -> Int {
        http.log.split(separator: "\n").count { $0.contains(words) && $0.contains("Request") }
    }

    /// Looks through everything that was written and said, and through Redis itself.
    func expectNoSecrets() async throws {
        // Written by the test for the proxies and the import.
        let own = ["tinyproxy.conf", "perennial.yaml"]
        for name in try FileManager.default.contentsOfDirectory(atPath: workshop.directory).sorted() {
            guard name.hasSuffix(".log"), !own.contains(name), !name.contains("microsocks"), !name.contains("tinyproxy")
            else { continue }
            let text = TextFile.read(workshop.path(name)) ?? ""
            // The command line of microsocks is its configuration.
            let lines = text.split(separator: "\n").filter { $0.contains("planted") && !$0.contains("microsocks") }
            #expect(lines.isEmpty, "\(name): \(lines)")
        }
        for key in try await redis.ask("--raw", "KEYS", "*").split(separator: "\n") {
            guard try await redis.ask("--raw", "TYPE", String(key)).hasPrefix("hash") else { continue }
            #expect(!(try await redis.ask("HGETALL", String(key))).contains("planted"), "\(key)")
        }
    }
}
