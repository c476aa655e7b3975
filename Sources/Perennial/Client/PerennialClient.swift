import NIOConcurrencyHelpers
import PerennialConfiguration
public import Logging
import RedisStore
import RefreshCore
public import ServiceLifecycle

/// Perennial inside a Swift backend: an instance like any other of the fleet, without HTTP between it and its callers.
///
/// It takes part in everything: it refreshes lazily and, when it leads, ahead of expiry; it hears of what other instances do;
/// it shares accounts, pools and cool-downs with them. ``connect(file:environment:logger:patience:)`` makes one that runs by
/// itself. A host with a `ServiceGroup` makes one with ``init(_:logger:)`` and adds it to its group, before the services that
/// ask it for tokens.
public final class PerennialClient: Service {
    let instance: Instance
    let pools: (any PoolPicking)?
    private let group: ServiceGroup
    private let state = NIOLockedValueBox(State())

    private struct State {
        var isOpen = false
        var hasStarted = false
        var isClosed = false
        /// Where it runs by itself.
        var runner: Task<Void, Never>?
        /// What has ended it.
        var failure: PerennialError?
    }

    /// How long the first callers wait for the store to be opened.
    static let patience = Duration.seconds(10)

    /// Reads keys and journals and starts the embedded Redis if there is one; nothing runs before ``run()`` does.
    ///
    /// - Parameters:
    ///   - configuration: as in the configuration file.
    ///   - logger: where the instance says what happens to it; never a token.
    /// - Throws: ``PerennialError`` with the code `configuration` or `start`.
    public convenience init(
        _ configuration: Configuration, logger: Logger = Logger(label: "perennial")
    ) async throws(PerennialError) {
        try await self.init(try Self.checked(configuration), logger: logger)
    }

    /// The same from a configuration file.
    ///
    /// - Parameters:
    ///   - file: the path of the YAML file that `perennial serve` reads.
    ///   - environment: what wins over the file and what `${NAME}` in it is replaced from. Nil: that of the process.
    ///   - logger: where the instance says what happens to it; never a token.
    public convenience init(
        file: String, environment: [String: String]? = nil, logger: Logger = Logger(label: "perennial")
    ) async throws(PerennialError) {
        try await self.init(try Self.load(file, environment), logger: logger)
    }

    private init(_ configuration: PerennialConfiguration, logger: Logger) async throws(PerennialError) {
        do {
            instance = try await Instance.assemble(configuration, role: .server(listen: ["in-process"]), logger: logger)
        } catch {
            throw PerennialError(start: error)
        }
        pools = instance.pools
        group = ServiceGroup(
            configuration: .init(
                services: (instance.services + instance.lastServices).map { .init(service: $0) },
                gracefulShutdownSignals: [], logger: Logger(label: "lifecycle") { _ in SwiftLogNoOpLogHandler() }))
    }

    deinit {
        // One that runs by itself and that nobody can ask any more would run for ever.
        let (runner, hasStarted) = state.withLockedValue { ($0.runner, $0.hasStarted) }
        guard runner != nil || !hasStarted else { return }
        Task { [group] in
            await group.triggerGracefulShutdown()
            // What was put together has to be taken apart, even where it never ran.
            if !hasStarted { try? await group.run() }
        }
    }

    /// Runs until graceful shutdown: for the host's `ServiceGroup`.
    ///
    /// - Throws: ``PerennialError`` when it cannot go on: another sealing key than the store's, for example.
    public func run() async throws {
        state.withLockedValue { $0.hasStarted = true }
        defer { state.withLockedValue { $0.isClosed = true } }
        do {
            try await group.run()
        } catch let error as CancellationError {
            throw error
        } catch {
            let failure = PerennialError(start: error)
            state.withLockedValue { $0.failure = failure }
            throw failure
        }
    }

    /// Ends what ``connect(_:logger:patience:)`` has made, in order: the lease goes to another instance, refreshes under way
    /// land, an embedded Redis that nobody else uses is stopped. Returns when all is done; calls for tokens fail from then on.
    ///
    /// One that runs in a `ServiceGroup` ends with its group instead.
    public func shutdown() async {
        await group.triggerGracefulShutdown()
        let (runner, hasStarted) = state.withLockedValue { state in
            state.isClosed = true
            return (state.runner, state.hasStarted)
        }
        if let runner { return await runner.value }
        // What was put together has to be taken apart, even where it never ran.
        if !hasStarted { try? await run() }
    }

    /// Waits until tokens can be had: Redis is there, and it is the right one.
    ///
    /// - Parameter patience: how long to wait.
    /// - Throws: ``PerennialError`` when it is not within `patience`, or `CancellationError`.
    public func waitUntilReady(patience: Duration = .seconds(30)) async throws {
        guard !state.withLockedValue({ $0.isOpen }) else { return }
        let deadline = ContinuousClock.now + patience
        while instance.link.gate.reason != nil {
            if let failure = state.withLockedValue({ $0.failure }) { throw failure }
            guard ContinuousClock.now < deadline else {
                throw PerennialError(
                    .storeUnavailable, "Redis is not available: \(instance.storeObstacle ?? "it is being opened")",
                    remedy: .retry(after: .seconds(1)))
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        state.withLockedValue { $0.isOpen = true }
    }

    /// - Throws: ``PerennialError`` with the code `shutting_down` once this has ended: what is in memory grows old then, and
    ///   nobody tells of accounts that were paused or removed.
    func checkOpen() throws(PerennialError) {
        guard state.withLockedValue({ $0.isClosed }) else { return }
        throw PerennialError(.shuttingDown, "this client was shut down: connect again", remedy: .changeCall)
    }

    /// Whether tokens can be had; nil when they can, else why not.
    public var obstacle: String? { state.withLockedValue { $0.failure?.description } ?? instance.storeObstacle }

    private func runByItself() {
        let run = Task { [group, state] in
            do {
                try await group.run()
            } catch {
                state.withLockedValue { $0.failure = PerennialError(start: error) }
            }
            state.withLockedValue { $0.isClosed = true }
        }
        state.withLockedValue { state in
            state.hasStarted = true
            state.runner = run
        }
    }

    func connected(patience: Duration) async throws -> PerennialClient {
        runByItself()
        do {
            try await waitUntilReady(patience: patience)
        } catch {
            await shutdown()
            throw error
        }
        return self
    }

    private static func checked(_ configuration: Configuration) throws(PerennialError) -> PerennialConfiguration {
        do { return try configuration.checked() } catch { throw PerennialError(start: error) }
    }

    private static func load(
        _ file: String, _ environment: [String: String]?
    ) throws(PerennialError) -> PerennialConfiguration {
        do {
            return try PerennialConfiguration.load(file: file, environment: environment ?? Host.environment)
        } catch {
            throw PerennialError(start: error)
        }
    }
}
