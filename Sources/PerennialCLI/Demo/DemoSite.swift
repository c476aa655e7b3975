import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One instance of the demo's fleet: a real process.
struct DemoInstance: Sendable {
    /// From 1.
    let number: Int
    let port: Int
    let process: ChildProcess
    let log: String

    var address: String { "127.0.0.1:\(port)" }
    var url: String { "http://\(address)" }
}

/// The directory and the processes of a demo. ``close()`` ends all of them; should this process die without it, a guard
/// does.
actor DemoSite {
    static let redisNames = ["redis-server", "valkey-server"]
    /// How an instance logs that it sends a refresh token once more.
    static let recoveryMark = "recovery: sending a refresh token once more"

    private let plan: DemoPlan
    private let environment: [String: String]
    private let keepsFiles: Bool
    private let directory: TemporaryDirectory
    private let guardian: ProcessGuard
    private var redis: ChildProcess?
    private(set) var instances: [DemoInstance] = []

    /// - Throws: ``ProcessError``.
    init(plan: DemoPlan, environment: [String: String], keepsFiles: Bool) throws(ProcessError) {
        self.plan = plan
        self.environment = Executables.neutralEnvironment(environment)
        self.keepsFiles = keepsFiles
        directory = try TemporaryDirectory(prefix: "perennial-demo-", in: environment["TMPDIR"])
        guardian = try ProcessGuard(directory: keepsFiles ? nil : directory.path)
    }

    nonisolated var path: String { directory.path }
    private var configurationFile: String { "\(directory.path)/perennial.yaml" }

    // MARK: Starting

    /// A private redis-server on a Unix socket, which forgets nothing and evicts nothing.
    ///
    /// - Throws: ``CommandFailure`` if there is none or it does not start.
    func startRedis() async throws {
        guard let executable = Executables.find(Self.redisNames, path: environment["PATH"]) else {
            throw CommandFailure(
                .local,
                "redis-server was not found in PATH. Install it: apt-get install redis-server (Debian, Ubuntu), "
                    + "dnf install valkey (Fedora), apk add redis (Alpine) or brew install redis (macOS)")
        }
        let socket = "\(directory.path)/redis.sock"
        try directory.write(
            """
            port 0
            unixsocket \(socket)
            unixsocketperm 700
            dir \(directory.path)
            daemonize no
            save ""
            appendonly yes
            appendfsync everysec
            maxmemory-policy noeviction

            """, to: "redis.conf")
        let log = "\(directory.path)/redis.log"
        let process = try ChildProcess(
            .init(executable, ["\(directory.path)/redis.conf"], environment: environment, output: log),
            guardian: guardian)
        redis = process
        try await wait(for: process, name: "redis-server", log: log, atMost: .seconds(20)) {
            LocalSockets.redisAnswers(at: socket)
        }
    }

    /// Writes the configuration and the sealing key that all instances share.
    ///
    /// - Throws: ``ProcessError``.
    func configure(tokenURL: String) throws(ProcessError) {
        try directory.write(SealingKey.generate().revealBase64() + "\n", to: "sealing.key")
        try directory.write(plan.configuration(directory: directory.path, tokenURL: tokenURL), to: "perennial.yaml")
    }

    /// Starts all instances; they are up when ``waitForInstance(_:isReady:)`` has returned for each.
    ///
    /// - Throws: ``ProcessError``.
    func startInstances() throws(ProcessError) -> [DemoInstance] {
        for (index, port) in try LocalSockets.freePorts(plan.instances).enumerated() {
            let number = index + 1
            let log = "\(directory.path)/instance-\(number).log"
            let process = try ChildProcess(
                .init(
                    Executables.own,
                    [
                        "serve", "--config", configurationFile, "--listen", "127.0.0.1:\(port)", "--state-dir",
                        "\(directory.path)/i\(number)",
                    ], environment: environment, output: log),
                guardian: guardian)
            instances.append(DemoInstance(number: number, port: port, process: process, log: log))
        }
        return instances
    }

    /// - Throws: ``CommandFailure`` with the end of the instance's log.
    nonisolated func waitForInstance(
        _ instance: DemoInstance, isReady: @Sendable @escaping () async -> Bool
    ) async throws {
        try await wait(
            for: instance.process, name: "instance \(instance.number)", log: instance.log, atMost: .seconds(60), isReady
        )
    }

    /// Runs `perennial accounts import` on these lines.
    ///
    /// - Throws: ``CommandFailure`` with the end of what it said.
    func importAccounts(_ lines: String) async throws {
        try directory.write(lines, to: "accounts.jsonl")
        let log = "\(directory.path)/import.log"
        let process = try ChildProcess(
            .init(
                Executables.own,
                [
                    "accounts", "import", "--config", configurationFile, "--state-dir", "\(directory.path)/import",
                    "\(directory.path)/accounts.jsonl",
                ], environment: environment, output: log),
            guardian: guardian)
        let ending = await process.wait(atMost: .seconds(120))
        if ending == nil { await process.stop(patience: .seconds(1)) }
        try Task.checkCancellation()
        guard ending == .exited(0) else {
            let how = ending.map { "ended with \($0)" } ?? "did not end within 120 s"
            throw CommandFailure(.local, "importing the accounts \(how)\n\(PrivateFile.tail(of: log, lines: 10))")
        }
    }

    private nonisolated func wait(
        for process: ChildProcess, name: String, log: String, atMost limit: Duration,
        _ isReady: @Sendable () async -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while !(await isReady()) {
            func failure(_ what: String) -> CommandFailure {
                CommandFailure(.local, "\(name) \(what)\n\(PrivateFile.tail(of: log, lines: 10))")
            }
            if let ending = process.ending { throw failure("ended with \(ending) before it was ready") }
            guard ContinuousClock.now < deadline else { throw failure("is not ready after \(limit)") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    // MARK: Ending

    /// Ends the instances in order. May be called again.
    ///
    /// - Parameter killed: the numbers of those that are known to be dead.
    /// - Returns: those that did not end as they should, with how they ended.
    func stopInstances(besides killed: Set<Int> = []) async -> [String] {
        let running = instances.filter { !killed.contains($0.number) }
        let endings = await withTaskGroup(of: (Int, ProcessEnding?).self) { group in
            for instance in running {
                group.addTask { (instance.number, await instance.process.stop(patience: .seconds(15))) }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        return running.compactMap { instance in
            let ending = endings[instance.number]
            if ending == .exited(0) { return nil }
            return "instance \(instance.number) did not stop in order: \(ending.map { "\($0)" } ?? "still running")"
        }
    }

    /// How many re-sends of refresh tokens the instances have logged.
    func loggedRecoveries() -> Int {
        instances.reduce(0) { count, instance in
            guard let data = FileManager.default.contents(atPath: instance.log) else { return count }
            let text = String(decoding: data, as: UTF8.self)
            return count + text.split(separator: "\n").count { $0.contains(Self.recoveryMark) }
        }
    }

    /// Ends everything that was started and removes the directory. Not hindered by cancellation.
    func close() async {
        await Task {
            _ = await stopInstances()
            await redis?.stop(patience: .seconds(5))
            if !keepsFiles { directory.remove() }
            guardian.dismiss()
        }.value
    }
}
