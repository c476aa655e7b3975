import Glibc
import MockProvider
import PerennialServers
import Testing

/// `perennial login --paste` and `--device`.
@Suite(.timeLimit(.minutes(5)))
struct PastedAndDeviceLoginTests {
    private static func paste(
        _ site: LoginSite, _ text: @Sendable (LoginSite, String) async throws -> String
    ) async throws -> ServerProcess {
        let pipe = site.workshop.path("input-\(UInt32.random(in: .min ... .max))")
        guard mkfifo(pipe, 0o600) == 0 else { throw ServerFailure("no pipe") }
        // Held open for both, so that neither end waits for the other.
        let descriptor = open(pipe, O_RDWR | O_CLOEXEC)
        defer { close(descriptor) }
        let login = try await site.login(["--paste"], input: pipe)
        let line = Array(try await text(site, try await site.address(login)).utf8) + [0x0a]
        _ = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        return login
    }

    private static func settings(_ port: String = "8799") -> [String] {
        ["params: { prompt: none, login_hint: alice }", "redirect_uri: http://127.0.0.1:\(port)/code"]
    }

    @Test func codeWithStateCodeAloneAndWholeAddressAreTaken() async throws {
        let shown = try FreePort.find(1)[0]
        try await LoginSite.run(Self.settings("\(shown)"), options: []) { site in
            // What the provider's own page would show.
            let ways: [@Sendable (String, String) -> String] = [
                { code, state in "\(code)#\(state)" }, { code, _ in code },
                { code, state in "http://127.0.0.1:1/code?code=\(code)&state=\(state)&iss=" + site.issuer },
            ]
            for (number, way) in ways.enumerated() {
                let login = try await Self.paste(site) { site, address in
                    let (code, state) = try await site.codeAndState(address)
                    return way(code, state)
                }
                #expect(try await site.end(of: login) == 0, "\(login.log)")
                #expect(login.log.contains("generation \(number + 1)"), "\(login.log)")
                #expect(site.expectNoSecrets(login) == [])
            }
        }
    }

    @Test func aCodeOfAnotherLoginIsRefused() async throws {
        try await LoginSite.run(Self.settings()) { site in
            let login = try await Self.paste(site) { _, _ in "mac_something#of-another-login" }
            #expect(try await site.end(of: login) == 1)
            #expect(login.log.contains("belongs to another log-in") && !login.log.contains("mac_something"))
            #expect(try await site.mock.totals().tokenRequests == 0)
        }
    }

    @Test func theCodeOfAnotherVerifierIsRefusedByTheProvider() async throws {
        try await LoginSite.run(Self.settings()) { site in
            let other = try await site.login(["--paste"])
            let stolen = try await site.codeAndState(try await site.address(other)).code
            _ = try await site.end(of: other)
            let login = try await Self.paste(site) { _, _ in stolen }
            #expect(try await site.end(of: login) == 2)
            #expect(login.log.contains("does not take the code"), "\(login.log)")
        }
    }

    @Test func aDeviceIsConnected() async throws {
        try await LoginSite.run { site in
            let login = try await site.login(["--device"])
            let code = try await site.userCode(login)
            _ = try await site.browse(site.device, form: "user_code=\(code)&decision=allow&account=bob")
            #expect(try await site.end(of: login) == 0, "\(login.log)")
            #expect(login.log.contains("bob: added, generation 1"), "\(login.log)")
            #expect(site.expectNoSecrets(login) == [])
        }
    }

    @Test func aDenialOnTheDeviceIsExplained() async throws {
        try await LoginSite.run { site in
            let login = try await site.login(["--device"])
            let code = try await site.userCode(login)
            _ = try await site.browse(site.device, form: "user_code=\(code)&decision=deny")
            #expect(try await site.end(of: login) == 1)
            #expect(login.log.contains("access was denied"), "\(login.log)")
        }
    }

    @Test func aCodeThatEndsIsExplained() async throws {
        try await LoginSite.run(options: ["--device-lifetime", "2s"]) { site in
            let login = try await site.login(["--device"])
            #expect(try await site.end(of: login) == 1)
            #expect(login.log.contains("typed in"), "\(login.log)")
        }
    }
}

extension LoginSite {
    var issuer: String { "http%3A%2F%2F127.0.0.1%3A\(mock.port)" }
    var device: String { "http://127.0.0.1:\(mock.port)/device" }

    /// What a browser would be sent back with, not followed: the address is nobody's.
    func codeAndState(_ address: String) async throws -> (code: String, state: String) {
        let back = try await workshop.run(
            "browser", "curl", ["-sS", "-o", "/dev/null", "-w", "%{redirect_url}", address], timeout: .seconds(30))
        return (Self.parameter("code", of: back), Self.parameter("state", of: back))
    }

    func userCode(_ login: ServerProcess) async throws -> String {
        @Sendable func code() -> String? {
            login.log.split(separator: "\n").first { $0.hasPrefix("    ") }.map { String($0.drop { $0 == " " }) }
        }
        try await login.waitUntil("showing a code", timeout: .seconds(60)) { code() != nil }
        return code() ?? ""
    }
}
