import Logging
import MockProvider
import Perennial
import PerennialConfiguration
import PerennialServers
import RedisStore
import RefreshCore
import ServiceLifecycle

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Several whole instances in one process, on a real redis-server and the mock provider over real HTTP: everything but
/// the HTTP API.
struct Fleet: Sendable {
    struct Setup: Sendable {
        var instances = 3
        var rotation = MockProviderConfiguration.Rotation.singleUse
        var lifetime = Duration.seconds(3600)
        var latency = Duration.milliseconds(20)
        var faults: [String] = []
        /// YAML lines of the provider, besides preset, URL and client.
        var provider = ["rotation: single_use"]
        var refresh = "{ proactive: false }"
        var leaseTTL = "2s"
        /// YAML lines of the provider: a machine that stands still for a while breaks none of these times.
        var times = ["send_by: 15s", "connect_timeout: 15s", "exchange_deadline: 30s", "lock_ttl: 46s"]
        /// Whether the provider is reached through ``Fleet/wire``.
        var isWired = false
        /// Where the provider is, if it is not the mock: an URL.
        var tokenURL: String?
        /// Further YAML at the top.
        var top = ""
        /// Further YAML, for the port that the provider listens at.
        var more: @Sendable (_ port: Int) -> String = { _ in "" }
    }

    let instances: [Instance]
    let groups: [ServiceGroup]
    let mock: MockProviderServer
    let redis: RedisServer
    /// Between the instances and the provider.
    let wire: FaultProxy?

    static func run(_ setup: Setup = Setup(), _ body: @Sendable (Fleet) async throws -> Void) async throws {
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let directory = FileManager.default.temporaryDirectory.path + "/fleet-\(UInt32.random(in: .min ... .max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await withRedisServer { redis in
            let mock = MockProviderServer(
                configuration: MockProviderConfiguration(
                    port: 0, rotation: setup.rotation, accessTokenLifetime: setup.lifetime, latency: setup.latency,
                    faults: try setup.faults.map { try MockFault(parsing: $0) }), logger: quiet)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                let mockGroup = ServiceGroup(services: [mock], logger: quiet)
                tasks.addTask { try await mockGroup.run() }
                let port = try await mock.waitUntilListening()
                let wire = try await setup.isWired ? FaultProxy.start(to: .port(port)) : nil
                var instances: [Instance] = []
                var groups: [ServiceGroup] = []
                for number in 0..<setup.instances {
                    let yaml = configuration(setup, port: port, wire: wire?.port ?? port, redis: redis.url)
                    var configuration = try PerennialConfiguration.parse(
                        yaml, environment: ["HOME": directory, "PERENNIAL_SEALING_KEY": sealingKey])
                    configuration.stateDirectory = "\(directory)/\(number)"
                    let instance = try await Instance.assemble(
                        configuration, role: .server(listen: ["test"]), logger: quiet)
                    let group = ServiceGroup(services: instance.services + instance.lastServices, logger: quiet)
                    tasks.addTask { try await group.run() }
                    instances.append(instance)
                    groups.append(group)
                }
                let fleet = Fleet(instances: instances, groups: groups, mock: mock, redis: redis, wire: wire)
                do {
                    for instance in instances {
                        try await eventually("instance is ready") {
                            let isSubscribed = instance.isSubscribed
                            return instance.storeObstacle == nil && isSubscribed
                        }
                    }
                    try await body(fleet)
                } catch {
                    await fleet.stop(mockGroup)
                    while let rest = await tasks.nextResult() { _ = rest }
                    throw error
                }
                await fleet.stop(mockGroup)
                try await tasks.waitForAll()
            }
        }
    }

    private func stop(_ mock: ServiceGroup) async {
        for group in groups { await group.triggerGracefulShutdown() }
        await mock.triggerGracefulShutdown()
        await wire?.close()
    }

    private static let sealingKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

    private static func configuration(_ setup: Setup, port: Int, wire: Int, redis: String) -> String {
        let provider = (setup.times + setup.provider).map { "    \($0)\n" }.joined()
        return """
            redis: { url: "\(redis)" }
            refresh: \(setup.refresh)
            lease: { ttl: \(setup.leaseTTL) }
            providers:
              mock:
                preset: oauth2
                token_url: \(setup.tokenURL ?? "http://127.0.0.1:\(wire)/oauth2/token")
                client_id: test
                client_auth: none

            """.split(separator: "\n").joined(separator: "\n") + "\n" + provider + setup.more(port) + setup.top
    }

    static let provider = try! ProviderName("mock")

    /// Puts accounts of the mock provider into the store.
    func add(_ count: Int, lifetime: Duration? = nil) async throws -> [AccountID] {
        var ids: [AccountID] = []
        for account in mock.seedAccounts(count: count, prefix: "account-", lifetime: lifetime) {
            let id = try AccountID(account.id)
            let put = try instances[0].intake.admit(
                id: id, provider: Self.provider, name: nil,
                credentials: Credentials(
                    refreshToken: Secret(account.refreshToken), accessToken: Secret(account.accessToken),
                    expiresAt: WallTime(milliseconds: account.expiresAt.milliseconds)),
                overwrite: .always, now: instances[0].time.wall())
            _ = try await instances[0].directory.put(put)
            ids.append(id)
        }
        return ids
    }
}

struct TimedOut: Error, CustomStringConvertible {
    let description: String
}

/// Waits until `condition` holds.
func eventually(
    _ what: String, within limit: Duration = .seconds(60), _ condition: @Sendable () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut(description: "not in time: \(what)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}
