import MockProvider
import PerennialServers
import RedisClient

/// Three instances, a Redis and a provider, for the suites that look at several instances at once.
struct Fleet: Sendable {
    var mock: MockProcess
    var redisURL: String
    var instances: [PerennialInstance]
    /// Between the instances and Redis, where published messages are to be dropped.
    var proxy: SilencingProxy?

    var ports: [Int] { instances.map(\.port) }

    /// Instances whose leader refreshes nothing by itself: only readers and callers cause refreshes.
    ///
    /// - Parameter latency: of the provider.
    static func start(
        _ workshop: Workshop, latency: String, dropsPublish: Bool = false, size: Int = 3
    ) async throws -> Fleet {
        let redis = try await workshop.startRedis()
        let mock = try await MockProcess.start(workshop, latency: latency)
        var proxy: SilencingProxy?
        if dropsPublish, let socketPath = redis.socketPath { proxy = try await SilencingProxy.start(to: socketPath) }
        let configuration = try FleetConfiguration(
            redisURL: proxy.map { "redis://127.0.0.1:\($0.port)" } ?? redis.url, tokenURL: mock.tokenURL,
            isProactive: false
        ).write(in: workshop)
        var instances: [PerennialInstance] = []
        for number in 1...size {
            instances.append(try await .start(workshop, configuration: configuration, number: number))
        }
        return Fleet(mock: mock, redisURL: redis.url, instances: instances, proxy: proxy)
    }
}
