import FoundationEssentials
import Logging
import MockProvider
import PerennialServers
import Sealing
import ServiceLifecycle

/// Everything that runs: a Redis, a double for each row, two instances that share the Redis.
struct ConformanceSite: Sendable {
    let workshop: Workshop
    let redis: RedisServer
    let fleet: Fleet
    let events: EventLog
    /// By the row's name.
    let doubles: [String: RunningDouble]

    struct RunningDouble: Sendable {
        var double: ProviderDouble
        var port: Int

        var origin: String { "http://127.0.0.1:\(port)" }
    }

    /// Starts everything for the length of `body`.
    ///
    /// - Parameter trials: what is going to be tried: each trial has a provider of its own in the configuration.
    static func with<Result: Sendable>(
        _ rows: [TableRow], trials: [Trial], workshop: Workshop,
        _ body: @Sendable (ConformanceSite) async throws -> Result
    ) async throws -> Result {
        let quiet = Logger(label: "double") { _ in SwiftLogNoOpLogHandler() }
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            var doubles: [String: RunningDouble] = [:]
            for (seed, row) in zip(UInt64(1)..., rows) {
                let double = ProviderDouble(row.double, seed: seed, logger: quiet)
                tasks.addTask { try await double.run() }
                doubles[row.name] = RunningDouble(double: double, port: try await double.waitUntilListening())
            }
            defer { tasks.cancelAll() }
            let redis = try await workshop.startRedis(.tcp)
            let file = try configure(trials, doubles: doubles, redis: redis, workshop: workshop)
            var instances: [PerennialInstance] = []
            for number in 1...2 {
                instances.append(try await PerennialInstance.start(workshop, configuration: file, number: number))
            }
            let site = ConformanceSite(
                workshop: workshop, redis: redis, fleet: Fleet(instances: instances, http: workshop.http),
                events: EventLog(redis: redis), doubles: doubles)
            return try await body(site)
        }
    }

    /// - Returns: the path of the configuration of all instances.
    private static func configure(
        _ trials: [Trial], doubles: [String: RunningDouble], redis: RedisServer, workshop: Workshop
    ) throws -> String {
        let keyFile = workshop.path("sealing.key")
        try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: keyFile)
        let head = """
            redis: { url: "\(redis.url)" }
            sealing: { key_file: "\(keyFile)" }
            refresh: { proactive: true, interval: 5s }
            lease: { ttl: 5s }
            log: { level: info, format: json }
            providers:

            """
        let providers = try trials.map { trial in
            guard let running = doubles[trial.row.name] else { throw ServerFailure("no double for \(trial.row.name)") }
            return ProviderSettings(trial: trial, running: running, workshop: workshop).yaml
        }
        let file = workshop.path("perennial.yaml")
        try TextFile.write(head + providers.joined(), to: file)
        return file
    }
}
