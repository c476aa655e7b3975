import Logging
import RedisClient
import RefreshCore
import ServiceLifecycle
import Subprocess

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

/// Perennial's own private redis-server: on a Unix socket in the state directory, every write on disk before it is
/// answered (AOF, `appendfsync always`), never evicting.
///
/// The server runs as a daemon of its own, so that it outlives a killed Perennial; the next one finds it and goes on.
/// Processes that share the state directory share the server, and the last one to leave stops it.
package final class EmbeddedRedis: Service {
    private let directory: String
    private let logger: Logger
    private let users: FileLock
    private let starter: FileLock

    /// Longest path of a Unix socket, in bytes (`sun_path` holds 108 with its end mark).
    private static let longestSocketPath = 107

    package init(directory: String, logger: Logger) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StartError("\(directory) cannot be made")
        }
        guard "\(directory)/redis.sock".utf8.count <= Self.longestSocketPath else {
            throw StartError(
                "the path \(directory)/redis.sock is too long for a Unix socket: choose a shorter --state-dir")
        }
        self.directory = directory
        self.logger = logger
        self.users = try FileLock("\(directory)/users.lock")
        self.starter = try FileLock("\(directory)/start.lock")
    }

    package var socketPath: String { "\(directory)/redis.sock" }
    package var configuration: RedisConfiguration { RedisConfiguration(endpoint: .unixSocket(path: socketPath)) }

    /// Starts the server unless it runs already; returns when it answers.
    ///
    /// - Throws: ``StartError`` when redis-server is missing or does not come up.
    package func start() async throws {
        users.takeShared()
        try await ensureRunning()
    }

    /// Watches over the server until shutdown: a killed one is started again from its append-only file.
    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(200))
                guard !Task.isCancelled, !isAlive else { continue }
                logger.error("the embedded redis-server has died; starting it again")
                do {
                    try await ensureRunning()
                } catch {
                    logger.error("the embedded redis-server does not start: \(error)")
                    try? await Task.sleep(for: .seconds(2))
                }
            }
        }
        await stop()
    }

    /// Stops the server if no other process uses this state directory.
    package func stop() async {
        guard users.tryExclusive() else { return users.release() }
        if let pid, isAlive {
            // SIGTERM is an orderly SHUTDOWN: redis-server syncs its append-only file first.
            kill(pid, SIGTERM)
            let deadline = ContinuousClock.now + .seconds(10)
            while isAlive, ContinuousClock.now < deadline {
                do { try await Task.sleep(for: .milliseconds(20)) } catch { usleep(20_000) }
            }
        }
        users.release()
    }

    private var pid: pid_t? {
        guard let data = try? Data(contentsOf: URL(filePath: "\(directory)/redis.pid")) else { return nil }
        return pid_t(String(decoding: data, as: UTF8.self).filter(\.isNumber))
    }

    /// Whether the process of the pid file lives. A reused pid does no harm: the server then fails to answer, which
    /// is noticed by everybody who asks it.
    private var isAlive: Bool {
        guard let pid else { return false }
        // As the first process of a container this one inherits the daemon and has to collect it.
        if waitpid(pid, nil, WNOHANG) == pid { return false }
        return kill(pid, 0) == 0 && !Self.isZombie(pid)
    }

    /// A dead process that nobody has collected yet still answers signal 0.
    private static func isZombie(_ pid: pid_t) -> Bool {
        guard let data = try? Data(contentsOf: URL(filePath: "/proc/\(pid)/stat")) else { return false }
        // "pid (name) state …"; the name may hold anything, so the last parenthesis counts.
        let text = String(decoding: data, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return false }
        return text[text.index(after: end)...].first { $0 != " " } == "Z"
    }

    private func ensureRunning() async throws {
        // One process starts it, the others wait for it below.
        let isStarter = starter.tryExclusive()
        defer { if isStarter { starter.release() } }
        if await answers(within: .milliseconds(500)) { return }
        if isStarter, !isAlive {
            try writeConfiguration()
            try await launch()
        }
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if await answers(within: .seconds(2)) { return }
            if isStarter, !isAlive { break }
        }
        throw StartError("the embedded redis-server does not answer: \(lastLogLine)")
    }

    private func writeConfiguration() throws {
        let lines = [
            "port 0", "unixsocket \"\(socketPath)\"", "unixsocketperm 700", "dir \"\(directory)\"",
            "pidfile \"\(directory)/redis.pid\"", "logfile \"\(directory)/redis.log\"", "daemonize yes",
            "appendonly yes", "appendfsync always", "no-appendfsync-on-rewrite no", "aof-load-truncated yes",
            "save \"\"", "maxmemory-policy noeviction",
        ]
        try PrivateFile.replace("\(directory)/redis.conf", contents: lines.joined(separator: "\n") + "\n")
        unlink("\(directory)/redis.pid")
    }

    private func launch() async throws {
        let status: TerminationStatus
        do {
            status = try await Subprocess.run(
                .name("redis-server"), arguments: ["\(directory)/redis.conf"], output: .discarded, error: .discarded
            ).terminationStatus
        } catch {
            throw StartError(
                "redis-server cannot be started: install it (Debian, Ubuntu: apt-get install redis-server), "
                    + "or set REDIS_URL to a Redis of yours")
        }
        guard status.isSuccess else {
            throw StartError("redis-server ended with \(status): \(lastLogLine)")
        }
        // The daemon writes its pid a moment after its parent has gone.
        let deadline = ContinuousClock.now + .seconds(5)
        while !isAlive, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(10)) }
    }

    private var lastLogLine: String {
        guard let data = try? Data(contentsOf: URL(filePath: "\(directory)/redis.log")) else { return "no log" }
        let text = String(decoding: data.suffix(4096), as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).last.map(String.init) ?? "see \(directory)/redis.log"
    }

    /// Whether the server answers commands; one that is still loading its data does not.
    private func answers(within patience: Duration) async -> Bool {
        let client = RedisClient(
            configuration: configuration, logger: Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() })
        return await withTaskGroup(of: Bool?.self) { group in
            group.addTask {
                try? await client.run()
                return nil
            }
            group.addTask {
                guard (try? await client.waitUntilReady(timeout: patience)) != nil else { return false }
                return (try? await client.send(RedisCommand("PING"), timeout: patience)) != nil
            }
            for await answer in group {
                if let answer {
                    group.cancelAll()
                    return answer
                }
            }
            return false
        }
    }
}
