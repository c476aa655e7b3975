package import CoreMetrics
import CurlClient
import Gateway
import Journal
import Logging
import PerennialConfiguration
import Providers
import RedisClient
import RedisStore
import RefreshCore
import Sealing
import ServiceLifecycle
import Webhooks

/// One Perennial process, put together: everything from the configuration to the services that keep it going, except
/// the faces it shows to callers.
package struct Instance: Sendable {
    /// What the process is there for.
    package enum Role: Sendable, Hashable {
        /// Serves callers at these addresses, and stands for election unless proactive refreshing is off.
        case server(listen: [String])
        /// Runs one command and leaves: refreshes lazily, never leads, announces nothing.
        case command
    }

    package let id: InstanceID
    package let configuration: PerennialConfiguration
    package let link: RedisLink
    package let coordinator: RefreshCoordinator
    package let reader: TokenReader
    package let directory: RedisAccountDirectory
    package let orphans: RedisOrphanStore
    package let intake: AccountIntake
    package let registry: RedisInstanceRegistry
    package let providerMonitor: RedisProviderMonitor
    package let schedule: RedisScheduleStore
    package let leases: RedisLeaseStore
    package let time: FleetClock
    /// Nil where no pools are configured.
    package let pools: PoolDesk?
    /// Nil where no routes are configured, and for commands.
    package let gateway: Gateway?
    /// Nil where this instance does not stand for election.
    package let leadership: Leadership?
    /// What keeps the instance going, in order of dependency; shut down in the reverse order.
    package let services: [any Service]
    /// Shut down first: lets go of the lease.
    package let lastServices: [any Service]

    let embedded: EmbeddedRedis?

    /// How long the journal keeps what Redis has already: longer than a replica that may become the primary lags behind,
    /// and than instances take to notice.
    private static let retention = Duration.seconds(120)

    /// Reads keys and journals, starts the embedded Redis if there is one, and wires everything. Does not wait for an
    /// external Redis: that is tried again and again by the services.
    ///
    /// - Throws: ``StartError``, `SealingError`, `JournalError` or `RedisError`, each saying what to do.
    package static func assemble(
        _ configuration: PerennialConfiguration, role: Role, metrics: any MetricsFactory = MetricsSystem.factory,
        logger: Logger
    ) async throws -> Instance {
        let state = try StateDirectory(creating: configuration.stateDirectory)
        let ring = try keyRing(configuration, state: state)
        let embedded =
            configuration.redis.isEmbedded
            ? try EmbeddedRedis(directory: state.embeddedRedis, logger: logger) : nil
        try await embedded?.start()
        var redis = try embedded?.configuration ?? configuration.redis.clientConfiguration()
        redis.commandTimeout = configuration.redis.commandTimeout

        let host = Host.name
        let (id, journal): (InstanceID, FileJournal)
        do {
            (id, journal) = try JournalDirectory(
                path: state.journals, ring: ring, retention: embedded == nil ? retention : .zero, logger: logger
            )
            .open(fallbackName: Host.instanceName(of: host, isCommand: role == .command))
        } catch {
            await embedded?.stop()
            throw error
        }
        redis.pingInterval = configuration.redis.pingInterval
        let isFrugal = configuration.redis.profile == .hosted
        // A name is worth no command that is paid for.
        if !isFrugal { redis.clientName = "perennial-\(id.rawValue.prefix(40))" }
        let time = FleetClock(initialWall: Host.wallTime)
        let client = RedisClient(configuration: redis, logger: logger)
        let keys = Keys(prefix: configuration.redis.prefix, partitions: Keys.partitions(on: redis.deployment))
        let link = RedisLink(
            client: client, keys: keys, ring: ring, clock: time,
            durability: configuration.redis.durability, durabilityTimeout: configuration.redis.durabilityTimeout,
            // The embedded Redis syncs every write before it answers.
            watchesFailover: embedded == nil, isFrugal: isFrugal)
        let curl = CurlClient()
        let hub = ChangeHub()
        let cache = TokenCache()
        let deck = FlightDeck(
            store: RedisAccountStore(link: link, origin: id, logger: logger),
            endpoint: TokenEndpointClient(catalog: configuration.providers, transport: curl, time: time),
            journal: journal, time: time, hub: hub, cache: cache,
            statistics: RefreshStatistics(metrics: metrics), logger: logger)
        let coordinator = RefreshCoordinator(
            deck: deck, policies: configuration.providers, origin: id,
            configuration: .init(fallbackReread: configuration.refresh.fallbackReread))
        let schedule = RedisScheduleStore(link: link)
        let leases = RedisLeaseStore(link: link)
        let registry = RedisInstanceRegistry(link: link)

        // Apart from the exchanges, so that no receiver can hold those up.
        let leads = role != .command && configuration.refresh.proactive
        let webhookCurl = leads && !configuration.webhooks.isEmpty ? CurlClient() : nil
        let webhooks = webhookCurl.map {
            dispatcher(configuration.webhooks, link: link, curl: $0, cache: cache, logger: logger)
        }
        let intake = AccountIntake(policies: configuration.providers)
        let directory = RedisAccountDirectory(link: link, origin: id)
        let keeper =
            role == .command
            ? nil
            : AcquisitionKeeper(
                store: RedisAcquisitionStore(link: link),
                acquirer: AcquisitionRunner(
                    chains: configuration.pools.chains, catalog: configuration.providers, transport: curl, time: time),
                vault: AcquisitionVault(path: state.acquisitions, ring: ring, logger: logger),
                directory: directory, intake: intake, time: time, logger: logger)
        if role != .command, !leads, !(configuration.webhooks.isEmpty && configuration.pools.settings.isEmpty) {
            logger.notice(
                """
                this instance never leads (refresh.proactive is off): webhooks are delivered, and pools looked after, by \
                another one, which has to have it on
                """)
        }
        let poolStore = RedisPoolStore(link: link, origin: id, logger: logger)
        let cooldowns = RedisCooldownStore(link: link)
        let watch =
            leads && !configuration.pools.settings.isEmpty
            ? PoolWatch(
                pools: configuration.pools.pools, store: poolStore, cooldowns: cooldowns, keeper: keeper, time: time,
                interval: isFrugal ? .seconds(3600) : .seconds(30), pause: .seconds(isFrugal ? 10 : 1), logger: logger)
            : nil
        var leadership: Leadership?
        var lastServices: [any Service] = []
        var heartbeat: Heartbeat?
        if case .server(let listen) = role {
            let pulse = Wakeup()
            if leads {
                leadership = Leadership(
                    leases: leases, schedule: schedule, coordinator: coordinator, configuration: configuration,
                    instance: id, time: time, cache: cache, pulse: pulse, webhooks: webhooks, pools: watch,
                    logger: logger,
                    tell: { epoch throws(StoreError) in
                        _ = try await RedisEventLog(link: link).leaderChanged(to: id, epoch: epoch)
                    })
            }
            heartbeat = Heartbeat(
                registry: registry, instance: id, host: host, listen: listen, leadership: leadership,
                statistics: deck.statistics, time: time, pulse: pulse,
                interval: configuration.redis.heartbeatInterval,
                commands: { client.commandCounts.values.reduce(0, +) },
                budget: configuration.redis.commandBudget.map {
                    CommandBudget(
                        perDay: $0, instance: id, registry: registry, log: RedisBudgetLog(link: link), logger: logger)
                })
            if let leadership { lastServices.append(leadership) }
        }

        let fallbacks = fallbacks(configuration, poolStore, rest: .seconds(isFrugal ? 60 : 5), logger)
        let reader = TokenReader(
            coordinator: coordinator, policies: configuration.providers, fallbacks: fallbacks)
        let desk =
            configuration.pools.settings.isEmpty
            ? nil
            : PoolDesk(
                settings: configuration.pools.pools, pools: poolStore, cooldowns: cooldowns,
                slots: RedisSlotStore(link: link), reader: reader, keeper: keeper,
                fallbacks: configuration.poolFallbacks, seed: .random(in: .min ... .max),
                metrics: metrics, logger: logger)
        // Apart from the exchanges as well: calls may be many, and last long.
        let gatewayCurl =
            role == .command || configuration.routes.isEmpty
            ? nil
            : CurlClient(configuration: .init(maxConnectionsPerHost: 0, maxIdleConnections: 512))
        let gateway = try gatewayCurl.map { curl in
            Gateway(
                routes: configuration.routes, tokens: reader, pools: desk, upstream: CurlUpstream(curl: curl),
                providers: configuration.providers, time: time,
                spillDirectory: try state.makeSpill(configuration.spill.directory), spill: configuration.spill,
                metrics: metrics, logger: logger)
        }
        let leftovers = Leftovers(coordinator: coordinator, link: link, time: time, logger: logger)
        var services: [any Service] = []
        if let embedded { services.append(embedded) }
        services.append(client)
        services.append(
            Finisher(
                coordinator: coordinator, acquisitions: keeper, journal: journal, curl: curl, webhookCurl: webhookCurl,
                gatewayCurl: gatewayCurl, removesJournal: role == .command))
        services.append(StoreOpener(link: link, isQuiet: role == .command, logger: logger))
        let finisher = keeper.map {
            AcquisitionFinisher(
                keeper: $0, settings: configuration.pools.settings.compactMapValues(\.acquisition), time: time)
        }
        services.append(
            FleetListener(
                feed: RedisChangeFeed(link: link), cache: cache, hub: hub, leadership: leadership,
                leftovers: leftovers, link: link, webhooks: webhooks, fallbacks: fallbacks, pools: watch, desk: desk,
                acquisitions: finisher))
        services.append(leftovers)
        if let finisher { services.append(finisher) }
        if let heartbeat {
            services.append(heartbeat)
            services.append(OutageReporter(link: link, instance: id, logger: logger))
        }

        return Instance(
            id: id, configuration: configuration, link: link, coordinator: coordinator,
            reader: reader,
            directory: directory,
            orphans: RedisOrphanStore(link: link, policies: configuration.providers, origin: id),
            intake: intake, registry: registry, providerMonitor: RedisProviderMonitor(link: link), schedule: schedule,
            leases: leases, time: time, pools: desk, gateway: gateway, leadership: leadership, services: services,
            lastServices: lastServices,
            embedded: embedded)
    }

    /// Nil where none are configured.
    private static func fallbacks(
        _ configuration: PerennialConfiguration, _ pools: RedisPoolStore, rest: Duration, _ logger: Logger
    ) -> FallbackDesk? {
        let tokens = configuration.poolFallbacks
        guard !configuration.fallbacks.isEmpty || !tokens.isEmpty else { return nil }
        return FallbackDesk(
            tokens: configuration.fallbacks,
            pools: tokens.isEmpty ? nil : PoolFallbacks(tokens: tokens, store: pools, rest: rest), logger: logger)
    }

    private static func dispatcher(
        _ catalog: WebhookCatalog, link: RedisLink, curl: CurlClient, cache: TokenCache, logger: Logger
    ) -> WebhookDispatcher {
        WebhookDispatcher(
            catalog: catalog, events: RedisEventStream(link: link), store: RedisDeliveryStore(link: link),
            sender: CurlWebhookSender(curl: curl, wall: { Host.wallTime }), time: link.clock,
            configuration: link.isFrugal ? .frugal : .init(), seed: .random(in: .min ... .max), logger: logger,
            isSubscribed: { cache.isSubscribed },
            tellLost: { endpoint, count in
                try? await RedisEventLog(link: link).append(
                    "webhooks.lost", [.init("endpoint", endpoint), .init("count", String(count))])
            })
    }

    static func keyRing(_ configuration: PerennialConfiguration, state: StateDirectory) throws -> KeyRing {
        switch configuration.sealing {
        case .file(let path): return try KeyRing(file: path)
        case .key(let key): return try KeyRing(text: key.reveal(), source: "PERENNIAL_SEALING_KEY")
        case nil:
            guard configuration.redis.isEmbedded else {
                throw StartError(
                    "an external Redis needs a sealing key: set sealing.key_file (make one: openssl rand -base64 32)")
            }
            return try state.ownKeyRing()
        }
    }

    /// Why the store cannot be used right now; nil when it can.
    package var storeObstacle: String? {
        if let reason = link.gate.reason {
            if case .away(let cause) = link.client.connectionState, reason.code == .unavailable { return cause }
            return reason.message
        }
        switch link.client.connectionState {
        case .ready: return nil
        case .away(let cause): return cause
        case .idle, .connecting: return "connecting to Redis"
        case .closed: return "the connection to Redis is shut down"
        }
    }

    /// Answers in this instance's journal that hold no tokens by the provider's rules: nothing will become of them by
    /// itself, and a person has to look.
    package func unusableAnswers() async -> [JournalEntry] {
        await coordinator.deck.journal.pending().filter { entry in
            if case .rotated = configuration.providers.interpret(entry.response, provider: entry.provider) {
                return false
            }
            return true
        }
    }

    /// Whether changes of the fleet reach this instance.
    package var isSubscribed: Bool {
        coordinator.deck.cache.isSubscribed
    }
}
