import ArgumentParser
import CoreMetrics
import Logging
import Perennial
import PerennialAPI
import PerennialConfiguration
import PrometheusMetrics
import Providers
import RedisStore
import RefreshCore
import ServiceLifecycle
import UnixSignals

/// `perennial serve`: the composition root of an instance.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run an instance: serve tokens over HTTP, refresh them ahead of expiry.",
        discussion: """
            Without a Redis URL (redis.url or REDIS_URL) the instance runs its own private redis-server in its state \
            directory. Any number of instances may share one Redis.
            """)

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "HOST:PORT or unix:PATH; may be given several times.")
    var listen: [String] = []

    @Flag(inversion: .prefixedNo, help: "Stand for election as the leader that refreshes ahead of expiry.")
    var proactive: Bool?

    func run() async throws {
        let configuration = try options.load(listen: listen, proactive: proactive)
        let logger = LogSetup.logger(level: configuration.logLevel, format: configuration.logFormat)
        let keys = try callerKeys(configuration, logger: logger)
        try configuration.validateForServing(hasKeys: (keys?.count ?? 0) > 0)

        let metrics = PrometheusRegistry()
        Gauge(label: "perennial_build_info", dimensions: [("version", perennialVersion)], factory: metrics).record(1)
        let instance = try await Instance.assemble(
            configuration, role: .server(listen: configuration.listen.map(\.description)), metrics: metrics,
            logger: logger)
        let listeners = try configuration.listen.map { try PerennialAPI.ListenAddress($0.description) }
        let api = APIServer(
            backend: APIBackend(instance, metrics: { metrics.text() }), keys: keys,
            configuration: .init(listen: listeners), logger: logger)
        if configuration.providers.providers.isEmpty {
            logger.warning("no providers are configured: accounts cannot be added or refreshed")
        }
        logger.info(
            "perennial \(perennialVersion), instance \(instance.id), state in \(configuration.stateDirectory)")

        let announcer = ListenAnnouncer(api: api, logger: logger)
        let services = instance.services + [api, announcer] + instance.lastServices
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Logger(label: "lifecycle") { _ in SwiftLogNoOpLogHandler() }))
        try await group.run()
        logger.info("stopped")
    }

    private func callerKeys(_ configuration: PerennialConfiguration, logger: Logger) throws -> CallerKeys? {
        guard let path = configuration.authKeysFile else { return nil }
        let machine = FleetClock(initialWall: MachineClock.now)
        return try CallerKeys(file: CallerKeyFile(path: path), time: machine, logger: logger)
    }
}

/// Says where the API listens, once it does.
private struct ListenAnnouncer: Service {
    let api: APIServer
    let logger: Logger

    func run() async throws {
        if let addresses = try? await api.boundAddresses() {
            logger.info("listening on \(addresses.map(\.description).joined(separator: ", "))")
        }
        try? await gracefulShutdown()
    }
}

extension APIBackend {
    init(_ instance: Instance, metrics: (@Sendable () -> [UInt8])? = nil) {
        self.init(
            reader: instance.reader, coordinator: instance.coordinator, directory: instance.directory,
            orphans: instance.orphans, policies: instance.configuration.providers, intake: instance.intake,
            instances: instance.registry, providers: instance.providerMonitor,
            time: instance.time, pools: instance.pools,
            readiness: {
                let obstacle = instance.storeObstacle
                let isSubscribed = instance.isSubscribed
                var checks = ["redis": obstacle ?? "ok"]
                checks["changes"] = isSubscribed ? "ok" : "not subscribed: tokens are reread from Redis"
                let unusable = await instance.unusableAnswers().count
                checks["journal"] = unusable == 0 ? "ok" : JournalWords.unusable(unusable, of: instance.id.rawValue)
                return ReadinessReport(
                    ready: obstacle == nil, reasons: obstacle.map { ["Redis is not available: \($0)"] } ?? [],
                    checks: checks)
            },
            version: perennialVersion, gateway: instance.gateway, metrics: metrics)
    }
}
