import PerennialServers
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The embedded default as a user meets it: the real binary, its own redis-server, and SIGKILL.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct EmbeddedTests {
    @Test func nothingIsLostWhenPerennialIsKilled() async throws {
        try await EmbeddedWorkshop.run { shop in
            try shop.importAccounts(20)
            var server = try shop.serve()
            try await shop.waitUntilReady()
            #expect(shop.list().count == 20)
            server.kill(SIGKILL)
            server.wait()
            server = try shop.serve()
            try await shop.waitUntilReady()
            #expect(shop.list().count == 20)
            server.kill(SIGTERM)
            server.wait()
            // The last to leave has stopped the server: its socket answers nobody.
            #expect(shop.redisPid.map { kill($0, 0) != 0 || shop.isZombie($0) } ?? true)
        }
    }

    @Test func nothingIsLostWhenItsRedisIsKilled() async throws {
        try await EmbeddedWorkshop.run { shop in
            try shop.importAccounts(20)
            let server = try shop.serve()
            try await shop.waitUntilReady()
            let before = shop.list()
            let old = try #require(shop.redisPid)
            kill(old, SIGKILL)
            try await eventually("redis-server runs again") { shop.redisPid.map { $0 != old } ?? false }
            try await shop.waitUntilReady()
            #expect(shop.list() == before)
            server.kill(SIGTERM)
            server.wait()
        }
    }

    @Test func bothKilledAtOnceComeBackWithEverything() async throws {
        try await EmbeddedWorkshop.run { shop in
            try shop.importAccounts(20)
            var server = try shop.serve()
            try await shop.waitUntilReady()
            let before = shop.list()
            if let redis = shop.redisPid { kill(redis, SIGKILL) }
            server.kill(SIGKILL)
            server.wait()
            server = try shop.serve()
            try await shop.waitUntilReady()
            #expect(shop.list() == before)
            server.kill(SIGTERM)
            server.wait()
        }
    }

    @Test func aLostSealingKeyIsRefusedAndSaid() async throws {
        try await EmbeddedWorkshop.run { shop in
            try shop.importAccounts(1)
            try FileManager.default.removeItem(atPath: "\(shop.path)/state/sealing.key")
            let (output, status) = shop.perennial("accounts", "list", "--config", shop.configuration)
            #expect(status == 1)
            #expect(output.contains("wrong sealing key"))
        }
    }
}

/// A directory with a configuration for the binary under test.
struct EmbeddedWorkshop: Sendable {
    let path: String
    let configuration: String
    private let socket: String
    private let binary: String

    static func run(_ body: (EmbeddedWorkshop) async throws -> Void) async throws {
        // Short, because of the sockets in it.
        let path = "/tmp/prn-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let shop = EmbeddedWorkshop(
            path: path, configuration: "\(path)/perennial.yaml", socket: "\(path)/api.sock", binary: try Self.binary())
        let yaml = """
            listen: unix:\(shop.socket)
            state_dir: \(path)/state
            providers:
              acme: { preset: oauth2, token_url: "http://127.0.0.1:9/token", client_id: test, client_auth: none }

            """
        try yaml.write(toFile: shop.configuration, atomically: true, encoding: .utf8)
        defer {
            if let redis = shop.redisPid { kill(redis, SIGKILL) }
            try? FileManager.default.removeItem(atPath: path)
        }
        try await body(shop)
    }

    /// The binary that was built beside these tests.
    private static func binary() throws -> String {
        var directory = URL(filePath: CommandLine.arguments[0])
        for _ in 0..<6 {
            directory.deleteLastPathComponent()
            let candidate = directory.appending(path: "perennial").path
            if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
        }
        throw TimedOut(description: "no binary \"perennial\" beside \(CommandLine.arguments[0])")
    }

    func serve() throws -> ChildProcess {
        try ChildProcess(binary, ["serve", "--config", configuration], output: "\(path)/serve.log")
    }

    /// Runs a command to its end.
    func perennial(_ arguments: String...) -> (output: String, status: Int32) {
        let out = "\(path)/out-\(UInt32.random(in: .min ... .max))"
        let words = ([binary] + arguments).map { "'\($0)'" }.joined(separator: " ")
        let status = ChildProcess.status("sh", ["-c", "\(words) > \(out) 2>&1"])
        let text = (try? String(contentsOfFile: out, encoding: .utf8)) ?? ""
        return (text, status)
    }

    func importAccounts(_ count: Int) throws {
        let lines = (0..<count).map {
            "account-\($0),acme,refresh-\($0),access-\($0),2099-01-01T00:00:00Z"
        }
        let file = "\(path)/accounts.csv"
        let text = (["id,provider,refresh_token,access_token,expires_at"] + lines).joined(separator: "\n")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let (output, status) = perennial("accounts", "import", "--config", configuration, file)
        #expect(status == 0, "\(output)")
        #expect(output.contains("\(count) added"), "\(output)")
    }

    /// Every account with its token's generation, through the command line.
    func list() -> [String] {
        let (output, _) = perennial("accounts", "list", "--config", configuration)
        return output.split(separator: "\n").dropFirst().map { line in
            line.split(separator: " ").prefix(4).joined(separator: " ")
        }
    }

    func waitUntilReady() async throws {
        try await eventually("the instance is ready") {
            ChildProcess.status(
                "curl", ["-sf", "-o", "/dev/null", "--unix-socket", socket, "http://localhost/readyz"]) == 0
        }
    }

    var redisPid: pid_t? {
        let text = try? String(contentsOfFile: "\(path)/state/redis/redis.pid", encoding: .utf8)
        return text.flatMap { pid_t($0.filter(\.isNumber)) }
    }

    func isZombie(_ pid: pid_t) -> Bool {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        return text.contains(") Z ")
    }
}
