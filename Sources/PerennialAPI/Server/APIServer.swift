import HummingbirdCore
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import RefreshCore
import ServiceLifecycle

/// A listener that could not be opened, or that stopped by itself.
public struct ListenError: Error, Sendable, CustomStringConvertible {
    public let address: ListenAddress
    public let reason: String
    public let underlying: (any Error)?

    init(_ address: ListenAddress, _ reason: String, underlying: (any Error)? = nil) {
        self.address = address
        self.reason = reason
        self.underlying = underlying
    }

    public var description: String { "cannot listen on \(address): \(reason)" }
}

/// The HTTP API on all its addresses. Runs until graceful shutdown; then it takes no new connections, finishes the
/// requests under way and closes.
public final class APIServer: Service {
    public struct Configuration: Sendable {
        public var listen: [ListenAddress]
        /// A connection without a byte for one to two times this long is closed. Default 60 s.
        public var idleTimeout: Duration
        /// Connections that may wait to be accepted, per listener.
        public var backlog: Int

        public init(listen: [ListenAddress], idleTimeout: Duration = .seconds(60), backlog: Int = 1024) {
            self.listen = listen
            self.idleTimeout = idleTimeout
            self.backlog = backlog
        }
    }

    private struct State {
        var bound: [Int: ListenAddress] = [:]
        var sockets: [UnixSocketFile] = []
        var waiters: [CheckedContinuation<[ListenAddress], any Error>] = []
        var failure: (any Error)?
    }

    private let backend: APIBackend
    private let gatekeeper: Gatekeeper
    private let configuration: Configuration
    private let eventLoopGroup: any EventLoopGroup
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    /// - Parameter keys: nil when no caller keys are configured: whoever can connect is trusted, so every listener
    ///   has to be on the loopback, which the caller of this initializer makes sure of.
    public init(
        backend: APIBackend, keys: CallerKeys?, configuration: Configuration,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, logger: Logger
    ) {
        self.backend = backend
        self.gatekeeper = Gatekeeper(keys: keys)
        self.configuration = configuration
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
    }

    /// The addresses as they were bound, in the order of the configuration, once all of them listen.
    ///
    /// - Throws: what ``run()`` has thrown, or ``ListenError`` when it ended before that.
    public func boundAddresses() async throws -> [ListenAddress] {
        try await withCheckedThrowingContinuation { continuation in
            let result: Result<[ListenAddress], any Error>? = state.withLockedValue { state in
                if let failure = state.failure { return .failure(failure) }
                if let all = complete(state) { return .success(all) }
                state.waiters.append(continuation)
                return nil
            }
            if let result { continuation.resume(with: result) }
        }
    }

    /// Listens until graceful shutdown or cancellation.
    ///
    /// - Throws: ``ListenError`` when an address cannot be had or a listener stops by itself.
    public func run() async throws {
        defer { state.withLockedValue { $0.sockets }.forEach { $0.remove() } }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, address) in configuration.listen.enumerated() {
                    group.addTask { try await self.serve(address, index: index) }
                }
                for try await _ in group {}
            }
            fail(ListenError(configuration.listen.first ?? .tcp(host: "", port: 0), "the server has been shut down"))
        } catch {
            fail(error)
            throw error
        }
    }

    private func serve(_ address: ListenAddress, index: Int) async throws {
        var isLocalSocket = false
        let target: BindAddress
        switch address {
        case .tcp(let host, let port): target = .hostname(host, port: port)
        case .unix(let path):
            try UnixSocketFile.clear(path)
            isLocalSocket = true
            target = .unixDomainSocket(path: path)
        }
        let responder = APIResponder(
            backend: backend, gatekeeper: gatekeeper, isLocalSocket: isLocalSocket, logger: logger)
        let connection = APIConnection(
            responder: responder, idleTimeout: .milliseconds(configuration.idleTimeout.wholeMilliseconds))
        // Hummingbird announces each start at info level; the composition root says it once for all addresses.
        var quiet = logger
        if quiet.logLevel > .debug { quiet.logLevel = max(quiet.logLevel, .notice) }
        let server = connection.server(
            configuration: ServerConfiguration(address: target, backlog: configuration.backlog),
            onServerRunning: { channel in self.listening(index, address, on: channel) },
            eventLoopGroup: eventLoopGroup, logger: quiet)
        do {
            try await server.run()
        } catch {
            if Task.isShuttingDownGracefully || Task.isCancelled { return }
            throw ListenError(address, "\(error)", underlying: error)
        }
        // Hummingbird only logs when accepting fails for good: an address that went deaf must not go unnoticed.
        if !Task.isShuttingDownGracefully, !Task.isCancelled { throw ListenError(address, "it stopped accepting") }
    }

    private func listening(_ index: Int, _ address: ListenAddress, on channel: any Channel) {
        var bound = address
        var socket: UnixSocketFile?
        switch address {
        case .tcp(let host, let port): bound = .tcp(host: host, port: channel.localAddress?.port ?? port)
        case .unix(let path):
            do {
                socket = try UnixSocketFile(bound: path)
            } catch {
                logger.error("\(error)")
                channel.close(promise: nil)
                return
            }
        }
        let (waiters, all) = state.withLockedValue { state in
            state.bound[index] = bound
            if let socket { state.sockets.append(socket) }
            guard let all = complete(state) else {
                return ([], []) as ([CheckedContinuation<[ListenAddress], any Error>], [ListenAddress])
            }
            defer { state.waiters = [] }
            return (state.waiters, all)
        }
        for waiter in waiters { waiter.resume(returning: all) }
    }

    private func complete(_ state: State) -> [ListenAddress]? {
        guard state.bound.count == configuration.listen.count else { return nil }
        return configuration.listen.indices.compactMap { state.bound[$0] }
    }

    private func fail(_ error: any Error) {
        let waiters = state.withLockedValue { state in
            state.failure = error
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(throwing: error) }
    }
}
