import CurlClient
import MockProvider
import PerennialServers
import RedisStore
import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Real instances, a real Redis and a provider, with wires between them that can be held and cut at an exact moment.
struct CrashSite: Sendable {
    struct Setup: Sendable {
        var instances = 1
        /// As `mock-provider --rotation` and the configuration say it.
        var rotation = (option: "single_use", setting: "single_use")
        /// Of access tokens.
        var life = "60s"
        /// How long the provider thinks: the time in which an exchange can be interfered with.
        var latency = "5ms"
        var isProactive = false
        var times = Times.generous
        /// Of the leader, in whole seconds.
        var leaseTTL = Duration.seconds(2)
        /// Instances whose wall clock can be turned.
        var turned: Set<Int> = []
        var turnsRedis = false
        var redisPassword: String?
        var redisDirectives = ["appendonly yes", "appendfsync always"]
        /// As the configuration says it.
        var durability = "none"
        /// Further YAML, for the port at which an instance reaches the provider.
        var more: @Sendable (_ provider: Int) -> String = { _ in "" }
        /// Called before the instances start.
        var before: @Sendable (CrashSite) -> Void = { _ in }
    }

    /// The times in the configuration of the instances that bound an exchange, in whole seconds.
    struct Times: Sendable {
        /// Also of connecting.
        var sendBy: Int
        var exchange: Int
        var lockTTL: Int

        /// A machine that stands still for a while breaks none of them.
        static let generous = Times(sendBy: 15, exchange: 30, lockTTL: 46)
        /// For those who wait until a lock has run out, or for as long after a failover as an exchange may take.
        static let short = Times(sendBy: 2, exchange: 3, lockTTL: 6)
    }

    let lockTTL: Duration
    let workshop: Workshop
    let redis: RedisServer
    let mock: MockProcess
    /// By instance; the first is that of instance 1.
    let redisWires: [FaultProxy]
    let providerWires: [FaultProxy]
    let instances: [CrashInstance]
    let instanceClock: FakeClock?
    let redisClock: FakeClock?

    static func run(
        _ setup: Setup = Setup(), _ body: @Sendable (CrashSite) async throws -> Void
    ) async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary) { workshop in
            var options = RedisServer.Options(.tcp, password: setup.redisPassword, directives: setup.redisDirectives)
            var redisClock: FakeClock?
            if setup.turnsRedis {
                let clock = try FakeClock(file: workshop.path("redis.clock"))
                options.wrapper = clock.wrapper(allocator: FakeClock.systemAllocator)
                redisClock = clock
            }
            try await withRedisServer(options) { redis in
                let site = try await CrashSite(setup, workshop: workshop, redis: redis, redisClock: redisClock)
                do {
                    setup.before(site)
                    for instance in site.instances { try await instance.start() }
                    for instance in site.instances { try await site.waitUntilReady(instance) }
                    try await body(site)
                } catch {
                    await site.close()
                    throw error
                }
                await site.close()
            }
        }
    }

    private init(_ setup: Setup, workshop: Workshop, redis: RedisServer, redisClock: FakeClock?) async throws {
        self.workshop = workshop
        self.redis = redis
        self.redisClock = redisClock
        lockTTL = .seconds(setup.times.lockTTL)
        mock = try await MockProcess.start(
            workshop, latency: setup.latency, options: ["--rotation", setup.rotation.option, "--lifetime", setup.life])
        instanceClock = setup.turned.isEmpty ? nil : try FakeClock(file: workshop.path("instance.clock"))
        let key = workshop.path("sealing.key")
        try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: key)
        var (redisWires, providerWires, instances): ([FaultProxy], [FaultProxy], [CrashInstance]) = ([], [], [])
        let ports = try FreePort.find(setup.instances)
        for number in 1...setup.instances {
            let redisWire = try await FaultProxy.start(to: .port(redis.port ?? 0))
            let providerWire = try await FaultProxy.start(to: .port(mock.port))
            let login = setup.redisPassword.map { ":\($0)@" } ?? ""
            let yaml = """
                redis: { url: "redis://\(login)127.0.0.1:\(redisWire.port)", command_timeout: 10s, durability: "\(setup.durability)", durability_timeout: 300ms }
                sealing: { key_file: "\(key)" }
                refresh: { proactive: \(setup.isProactive) }
                lease: { ttl: \(setup.leaseTTL.components.seconds)s }
                providers:
                  mock:
                    preset: oauth2
                    token_url: "http://127.0.0.1:\(providerWire.port)/oauth2/token"
                    client_id: test
                    client_auth: none
                    rotation: \(setup.rotation.setting)
                    send_by: \(setup.times.sendBy)s
                    connect_timeout: \(setup.times.sendBy)s
                    exchange_deadline: \(setup.times.exchange)s
                    lock_ttl: \(setup.times.lockTTL)s
                    backoff: { base: 200ms, cap: 1s }

                """ + setup.more(providerWire.port)
            let file = workshop.path("perennial-\(number).yaml")
            try TextFile.write(yaml, to: file)
            let wrapper = setup.turned.contains(number) ? instanceClock?.wrapper() ?? [] : []
            instances.append(
                CrashInstance(
                    number: number, port: ports[number - 1], directory: workshop.path("state-\(number)"),
                    words: wrapper + [workshop.perennial, "serve", "--config", file],
                    logPath: workshop.path("instance-\(number).log")))
            redisWires.append(redisWire)
            providerWires.append(providerWire)
        }
        (self.redisWires, self.providerWires, self.instances) = (redisWires, providerWires, instances)
    }

    private func close() async {
        for instance in instances { await instance.kill() }
        for wire in redisWires + providerWires { await wire.close() }
        if redisClock != nil {
            let pid = await redis.pid
            await redis.kill()
            FakeClock.forget(pid)
        }
    }

    func waitUntilReady(_ instance: CrashInstance) async throws {
        try await eventually("instance \(instance.number) is ready: \(instance.log.suffix(500))") {
            (try? await workshop.http.execute(CurlRequest(url: instance.origin + "/readyz")))?.status == 200
        }
    }

    // MARK: accounts

    /// Puts an account of the provider in, through instance 1.
    ///
    /// - Returns: its id.
    func add(isExpired: Bool = false) async throws -> String {
        let line = try await mock.seedOne("account-\(UInt32.random(in: .min ... .max))-", isExpired: isExpired)
        try await put(line)
        return line.id
    }

    func put(_ line: MockAccountLine) async throws {
        let answer = try await workshop.http.execute(
            CurlRequest(
                method: "PUT", url: "\(instances[0].origin)/v1/accounts/\(line.id)",
                headers: [("Content-Type", "application/json")], body: line.putBody))
        guard answer.status == 201 else { throw ServerFailure("the account was answered \(answer.status)") }
    }

    /// Lets Redis get to know the scripts, by a refresh of an account that nothing else is done with: otherwise the
    /// first reply to a script is that it is not known.
    func warmUp() async throws {
        let account = try await add(isExpired: true)
        try await eventually("the scripts are known") { await read(account).generation == 2 }
    }

    struct Answer: Sendable {
        /// 0: none came.
        var status: Int
        var token: String?
        var generation: Int64?
        /// What an error says.
        var detail: String?

        /// When the provider stops taking the token: those of the mock provider say so themselves (`mat_`, family,
        /// serial, expiry in milliseconds, check, in hexadecimal).
        var expiresAt: Date? {
            guard let digits = token?.dropFirst(4 + 8 + 8), digits.count == 32 else { return nil }
            return Int64(digits.prefix(16), radix: 16).map { Date(timeIntervalSince1970: Double($0) / 1000) }
        }
    }

    private struct Body: Decodable {
        var accessToken: String?
        var generation: Int64?
        var detail: String?

        private enum CodingKeys: String, CodingKey {
            case accessToken = "access_token"
            case generation, detail
        }
    }

    /// Asks an instance (from 1) for the account's token.
    func read(_ account: String, from number: Int = 1) async -> Answer {
        await send(CurlRequest(url: url(number, account, "token"), totalTimeout: .seconds(60)))
    }

    /// Asks an instance for a new token in the place of a generation.
    func refresh(_ account: String, from number: Int = 1, generation: Int64 = 1) async -> Answer {
        await send(
            CurlRequest(
                method: "POST", url: url(number, account, "refresh"), headers: [("Content-Type", "application/json")],
                body: Array("{\"if_generation\":\(generation)}".utf8), totalTimeout: .seconds(60)))
    }

    private func url(_ number: Int, _ account: String, _ what: String) -> String {
        "\(instances[number - 1].origin)/v1/accounts/\(account)/\(what)"
    }

    private func send(_ request: CurlRequest) async -> Answer {
        guard let answer = try? await workshop.http.execute(request) else { return Answer(status: 0) }
        let body = try? JSONDecoder().decode(Body.self, from: Data(answer.body))
        return Answer(
            status: answer.status, token: body?.accessToken, generation: body?.generation, detail: body?.detail)
    }

    /// Whether the provider's API takes a token.
    func isTaken(_ token: String?) async -> Bool {
        guard let token else { return false }
        let request = CurlRequest(url: mock.resourceURL, headers: [("Authorization", "Bearer \(token)")])
        return (try? await workshop.http.execute(request))?.status == 200
    }

    // MARK: a server that takes over

    /// Everything that Redis has on its disk now.
    func copyOfRedis() throws -> String {
        let copy = workshop.path("redis-copy")
        try ChildProcess.run("cp", ["-r", "\(redis.directory)/appendonlydir", copy])
        return copy
    }

    /// Another server takes over at the same address, with what it had got of the data.
    func failOver(to copy: String) async throws {
        await redis.kill()
        try ChildProcess.run("rm", ["-r", "\(redis.directory)/appendonlydir"])
        try ChildProcess.run("cp", ["-r", copy, "\(redis.directory)/appendonlydir"])
        try await redis.restart()
    }

    // MARK: moments

    /// Holds back what the provider answers an instance's next refresh, until ``letAnswersPass(to:)``.
    func holdAnswer(to number: Int = 1) {
        providerWires[number - 1].holdReplies(after: "/oauth2/token")
    }

    func letAnswersPass(to number: Int = 1) {
        providerWires[number - 1].set(.init())
    }

    /// Waits until the provider has rotated this often.
    func waitForRotations(_ count: Int) async throws {
        try await eventually("the provider has rotated") { try await mock.totals().refreshes >= count }
    }

    /// A field of the account's hash, as Redis has it.
    func field(_ name: String, of account: String) async throws -> String {
        try await redis.ask("hget", Keys().account(try AccountID(account)), name)
    }

    /// What only BEGIN has in its request to Redis, and what only COMMIT has.
    static let begin = ":pauses"
    static let commit = ":events"

    /// Waits until the claim to the account's refresh token stands in Redis.
    func waitForIntent(_ account: String) async throws {
        try await eventually("there is an intent") { try await !field("intent", of: account).isEmpty }
    }

    /// Waits until an instance has a token response on disk.
    func waitForJournal(_ number: Int = 1) async throws {
        let directory = "\(instances[number - 1].directory)/journal"
        try await eventually("the answer is in the journal") {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
            return names.contains { (TextFile.read("\(directory)/\($0)") ?? "").count > 100 }
        }
    }

    /// Waits until the account has its second token everywhere, and says whether the provider was asked once for it.
    func expectOneRefresh(_ account: String) async throws -> Bool {
        for number in 1...instances.count {
            try await eventually("instance \(number) has the new token") {
                let answer = await read(account, from: number)
                guard answer.generation == 2 else { return false }
                return await isTaken(answer.token)
            }
        }
        let ledger = try await mock.ledger()
        return ledger.uses.count { $0.account == account } == 1 && ledger.totals.familiesRevoked == 0
    }
}
