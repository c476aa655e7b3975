import FoundationEssentials
import Glibc
import PerennialServers
import RefreshCore

/// One redis-server, and a wire of its own to it for each instance.
struct SingleRedis: RedisSite {
    let server: RedisServer
    /// By instance; the first is that of instance 1.
    let wires: [FaultProxy]
    private let clock: FakeClock?

    static func start(_ plan: ChaosPlan, workshop: Workshop) async throws -> SingleRedis {
        var options = RedisServer.Options(
            .tcp,
            directives: [
                "appendonly yes", "appendfsync \(plan.fsync.rawValue)", "maxmemory-policy noeviction",
            ])
        var clock: FakeClock?
        if plan.faults.contains(.clockRedis) {
            let turned = try FakeClock(file: workshop.path("redis.clock"))
            options.wrapper = turned.wrapper(allocator: FakeClock.systemAllocator)
            clock = turned
        }
        let server = try await RedisServer.start(options)
        var wires: [FaultProxy] = []
        for _ in 0..<plan.instances { wires.append(try await FaultProxy.start(to: .port(server.port ?? 0))) }
        return SingleRedis(server: server, wires: wires, clock: clock)
    }

    func url(for instance: Int) -> String { "redis://127.0.0.1:\(wires[instance - 1].port)" }

    func perform(_ kind: FaultKind, dice: SplitMix64, hit: @Sendable (String) -> Void) async throws {
        var dice = dice
        let seconds = { (range: ClosedRange<Int64>) in Duration.milliseconds(Int64.random(in: range, using: &dice)) }
        switch kind {
        case .redisKill:
            hit("redis")
            await kill()
            try await Task.sleep(for: seconds(100...4000))
            try await server.restart()
        case .redisPowerCut:
            hit("redis")
            let file = appendOnlyFile
            let safe = file.flatMap { Self.size($0) }
            try await Task.sleep(for: .seconds(1))
            await kill()
            if let file, let safe { truncate(file, off_t(safe)) }
            try await Task.sleep(for: seconds(100...2000))
            try await server.restart()
        case .redisPause:
            hit("redis")
            await server.pause()
            try await Task.sleep(for: seconds(1500...6000))
            await server.resume()
        case .clockRedis:
            let ahead = Bool.random(using: &dice)
            hit("redis, an hour \(ahead ? "ahead" : "behind")")
            try clock?.turn(by: ahead ? 3600 : -3600)
            try await Task.sleep(for: seconds(3000...9000))
            try clock?.turn(by: 0)
        default: break
        }
    }

    func heal() async throws {
        for wire in wires { wire.set(.init()) }
        try clock?.turn(by: 0)
        await server.resume()
        if await !server.isRunning { try await server.restart() }
    }

    private func kill() async {
        let pid = await server.pid
        await server.kill()
        FakeClock.forget(pid)
    }

    func primaries() async throws -> [RedisServer] { [server] }

    func stop() async {
        for wire in wires { await wire.close() }
        await kill()
        await server.stop()
    }

    // MARK: the append-only file

    /// The part that is written at present.
    private var appendOnlyFile: String? {
        let folder = "\(server.directory)/appendonlydir"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let numbered = names.filter { $0.hasSuffix(".incr.aof") }.compactMap { name in
            name.split(separator: ".").compactMap { Int($0) }.first.map { (number: $0, name: name) }
        }
        return numbered.max { $0.number < $1.number }.map { "\(folder)/\($0.name)" }
    }

    private static func size(_ path: String) -> Int? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return Int(lseek(file, 0, SEEK_END))
    }
}
