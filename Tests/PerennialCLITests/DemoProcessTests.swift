import FoundationEssentials
import Glibc
import Testing

@testable import PerennialCLI

struct DemoProcessTests {
    private static func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    @Test func outputEnvironmentAndEnding() async throws {
        let directory = try TemporaryDirectory(prefix: "perennial-test-", in: nil)
        defer { directory.remove() }
        let output = "\(directory.path)/out"
        let child = try ChildProcess(
            .init("/bin/sh", ["-c", "echo \"$GREETING\"; exit 3"], environment: ["GREETING": "hello"], output: output))
        #expect(await child.wait(atMost: .seconds(60)) == .exited(3))
        #expect(!child.isRunning)
        #expect(PrivateFile.tail(of: output, lines: 5) == "hello")
    }

    @Test func blockedAndIgnoredSignalsAreNotInherited() async throws {
        signal(SIGPIPE, SIG_IGN)
        var blocked = sigset_t()
        var before = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGTERM)
        // Without a suspension in between, this is one thread.
        pthread_sigmask(SIG_BLOCK, &blocked, &before)
        let children = Result {
            try (0..<2).map { _ in try ChildProcess(.init("/bin/sleep", ["600"], environment: [:])) }
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
        let (one, other) = (try children.get()[0], try children.get()[1])
        one.signal(SIGTERM)
        other.signal(SIGPIPE)
        #expect(await one.wait(atMost: .seconds(60)) == .signalled(SIGTERM))
        #expect(await other.wait(atMost: .seconds(60)) == .signalled(SIGPIPE))
        await one.stop(patience: .zero)
        await other.stop(patience: .zero)
        one.signal(SIGKILL)
    }

    @Test func aStubbornChildIsKilled() async throws {
        let directory = try TemporaryDirectory(prefix: "perennial-test-", in: nil)
        defer { directory.remove() }
        let output = "\(directory.path)/out"
        let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
        let child = try ChildProcess(
            .init("/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], output: output))
        #expect(try await Self.eventually { PrivateFile.tail(of: output, lines: 1) == "ready" })
        #expect(await child.stop(patience: .milliseconds(100)) == .signalled(SIGKILL))
    }

    @Test func stoppingWorksInACancelledTask() async throws {
        let child = try ChildProcess(.init("/bin/sleep", ["600"], environment: [:]))
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return await child.stop(patience: .seconds(60))
        }
        task.cancel()
        #expect(await task.value == .signalled(SIGTERM))
    }

    @Test func aMissingProgramIsAnError() {
        #expect(throws: ProcessError.self) { try ChildProcess(.init("/nowhere/program", [], environment: [:])) }
    }

    /// The guard's parent here is a shell that is killed; that is what a crash of the demo looks like to the guard.
    @Test func theGuardEndsWhatIsLeftBehind() async throws {
        let directory = try TemporaryDirectory(prefix: "perennial-test-", in: nil)
        defer { directory.remove() }
        let doomed = "\(directory.path)/doomed"
        try FileManager.default.createDirectory(atPath: doomed, withIntermediateDirectories: false)
        let guardian = try ProcessGuard(directory: doomed)
        let child = try ChildProcess(.init("/bin/sleep", ["600"], environment: [:]), guardian: guardian)
        let spared = try ChildProcess(.init("/bin/sleep", ["600"], environment: [:]), guardian: guardian)
        guardian.remove(spared.pid)
        guardian.abandon()
        #expect(await child.wait(atMost: .seconds(60)) == .signalled(SIGKILL))
        #expect(try await Self.eventually { !FileManager.default.fileExists(atPath: doomed) })
        #expect(spared.isRunning)
        await spared.stop(patience: .seconds(60))
    }

    @Test func aDismissedGuardDoesNothing() async throws {
        let directory = try TemporaryDirectory(prefix: "perennial-test-", in: nil)
        defer { directory.remove() }
        let guardian = try ProcessGuard(directory: directory.path)
        let child = try ChildProcess(.init("/bin/sleep", ["600"], environment: [:]), guardian: guardian)
        guardian.dismiss()
        #expect(child.isRunning)
        #expect(FileManager.default.fileExists(atPath: directory.path))
        await child.stop(patience: .seconds(60))
    }

    @Test func directoriesAreShortEnoughForSockets() {
        let long = "/tmp/" + String(repeating: "x", count: 200)
        for base in [nil, "", "relative", long, "/with \"quotes\"", "/with\nline"] {
            #expect(TemporaryDirectory.template(prefix: "p-", in: base) == "/tmp/p-XXXXXX")
        }
        #expect(TemporaryDirectory.template(prefix: "p-", in: "/var/tmp//") == "/var/tmp/p-XXXXXX")
    }

    @Test func secretsGoToFilesThatOnlyTheirOwnerReads() throws {
        let directory = try TemporaryDirectory(prefix: "perennial-test-", in: nil)
        defer { directory.remove() }
        let path = "\(directory.path)/key"
        #expect(FileManager.default.createFile(atPath: path, contents: Data(), attributes: [.posixPermissions: 0o644]))
        try PrivateFile.write("secret", to: path)
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(PrivateFile.tail(of: path, lines: 1) == "secret")
    }

    @Test func theEnvironmentDoesNotConfigureTheFleet() {
        let environment = [
            "REDIS_URL": "redis://elsewhere", "PERENNIAL_LISTEN": "0.0.0.0:1", "TOKEN_REFRESH_WINDOW": "9",
            "ENABLE_PROACTIVE_TOKEN_REFRESH": "false", "PATH": "/bin", "HOME": "/home/me",
        ]
        #expect(Executables.neutralEnvironment(environment) == ["PATH": "/bin", "HOME": "/home/me"])
    }

    @Test func programsAreFoundInOrder() {
        #expect(Executables.find(["no-such-program", "sh"], path: "/nowhere:/bin") == "/bin/sh")
        #expect(Executables.find(["no-such-program"], path: nil) == nil)
        #expect(FileManager.default.isExecutableFile(atPath: Executables.own))
    }

    @Test func portsAreDifferentAndFree() throws {
        let ports = try LocalSockets.freePorts(16)
        #expect(Set(ports).count == 16)
        #expect(ports.allSatisfy { $0 > 0 })
        #expect(!LocalSockets.redisAnswers(at: "/nowhere/redis.sock"))
        #expect(!LocalSockets.redisAnswers(at: String(repeating: "x", count: 300)))
    }
}
