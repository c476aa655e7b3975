import CurlClient
import FoundationEssentials
import PerennialServers
import Sealing

/// Everything that runs during a run, under the names by which it is hit.
struct ChaosSite: Sendable {
    let plan: ChaosPlan
    let workshop: Workshop
    let redis: any RedisSite
    let providers: [ChaosProvider]
    /// The first is instance 1.
    let instances: [ChaosInstance]
    let accounts: [ChaosAccount]
    let clock: FakeClock?
    let keyFile: String

    static func open(_ plan: ChaosPlan, workshop: Workshop) async throws -> ChaosSite {
        let redis: any RedisSite =
            switch plan.topology {
            case .single: try await SingleRedis.start(plan, workshop: workshop)
            case .sentinel: try await SentinelRedis.start(plan)
            case .cluster: try await ClusterRedis.start(plan)
            }
        do {
            return try await furnish(plan, workshop: workshop, redis: redis)
        } catch {
            await redis.stop()
            throw error
        }
    }

    private static func furnish(
        _ plan: ChaosPlan, workshop: Workshop, redis: any RedisSite
    ) async throws -> ChaosSite {
        var providers: [ChaosProvider] = []
        for rotation in plan.rotations {
            providers.append(try await .start(rotation, plan: plan, workshop: workshop))
        }
        let keyFile = workshop.path("sealing.key")
        try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: keyFile)
        let clock = plan.turnedInstance == nil ? nil : try FakeClock(file: workshop.path("instance.clock"))
        let ports = try FreePort.find(plan.instances)
        var instances: [ChaosInstance] = []
        for number in 1...plan.instances {
            let file = workshop.path("perennial-\(number).yaml")
            let configuration = ChaosConfiguration(
                plan: plan, redisURL: redis.url(for: number),
                providers: providers.map { .init(rotation: $0.rotation, tokenURL: $0.tokenURL(for: number)) },
                keyFile: keyFile)
            try TextFile.write(configuration.yaml, to: file)
            let wrapper = number == plan.turnedInstance ? clock?.wrapper() ?? [] : []
            instances.append(
                ChaosInstance(
                    number: number, port: ports[number - 1], stateDirectory: workshop.path("state-\(number)"),
                    logPath: workshop.path("instance-\(number).log"),
                    words: wrapper + [workshop.perennial, "serve", "--config", file]))
        }
        var accounts: [ChaosAccount] = []
        for (index, provider) in providers.enumerated() {
            let count = plan.accounts / providers.count + (index < plan.accounts % providers.count ? 1 : 0)
            accounts += (1...count).map { ChaosAccount(id: "\(provider.name)-\($0)", provider: index) }
        }
        return ChaosSite(
            plan: plan, workshop: workshop, redis: redis, providers: providers, instances: instances,
            accounts: accounts, clock: clock, keyFile: keyFile)
    }

    /// Starts the instances and puts the accounts in.
    func start() async throws {
        for instance in instances { try await instance.start() }
        for instance in instances { try await waitUntilReady(instance, patience: .seconds(60)) }
        for (index, provider) in providers.enumerated() {
            // Seeded now, so that the first tokens are still good.
            let lines = try await provider.mock.seed(
                accounts.count { $0.provider == index }, prefix: "\(provider.name)-", areExpired: false,
                provider: provider.name)
            try TextFile.write(lines, to: workshop.path("accounts-\(provider.name).jsonl"))
            _ = try await workshop.run(
                "import-\(provider.name)", workshop.perennial,
                [
                    "accounts", "import", "--config", workshop.path("perennial-1.yaml"), "--state-dir",
                    workshop.path("state-import"), workshop.path("accounts-\(provider.name).jsonl"),
                ], timeout: .seconds(120))
        }
    }

    func waitUntilReady(_ instance: ChaosInstance, patience: Duration) async throws {
        let deadline = ContinuousClock.now + patience
        while true {
            let answer = try? await workshop.http.execute(
                CurlRequest(url: instance.origin + "/readyz", totalTimeout: .seconds(2)))
            if answer?.status == 200 { return }
            if let end = await instance.unexpectedEnd() {
                throw ServerFailure("\(end)\n\((TextFile.read(instance.logPath) ?? "").suffix(2000))")
            }
            guard ContinuousClock.now < deadline else {
                throw ServerFailure(
                    "instance \(instance.number) is not ready after \(patience)\n"
                        + (TextFile.read(instance.logPath) ?? "").suffix(2000))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// The instance that leads at present, as one that answers has it.
    func leader() async -> ChaosInstance? {
        struct Answer: Decodable {
            struct Instance: Decodable {
                var listen: [String]
                var leader: Bool
            }
            var instances: [Instance]
        }
        for instance in instances {
            guard
                let answer = try? await workshop.http.execute(
                    CurlRequest(url: instance.origin + "/v1/instances", totalTimeout: .seconds(1))),
                answer.status == 200,
                let fleet = try? JSONDecoder().decode(Answer.self, from: Data(answer.body)),
                let listen = fleet.instances.first(where: \.leader)?.listen
            else { continue }
            return instances.first { instance in listen.contains { $0.hasSuffix(":\(instance.port)") } }
        }
        return nil
    }

    /// Ends all harm: wires pass everything on, clocks are right, everything runs.
    func heal() async throws {
        for provider in providers { try await provider.heal() }
        try clock?.turn(by: 0)
        try await redis.heal()
        for instance in instances {
            await instance.resume()
            try await instance.start()
        }
        for instance in instances { try await waitUntilReady(instance, patience: .seconds(60)) }
    }

    /// What is left to stop besides the processes of the workshop.
    func close() async {
        for instance in instances { _ = await instance.stop(patience: .seconds(10)) }
        for provider in providers { await provider.stop() }
        await redis.stop()
    }
}

/// One account of a run.
struct ChaosAccount: Sendable, Hashable {
    var id: String
    /// Its place in ``ChaosSite/providers``.
    var provider: Int
}
