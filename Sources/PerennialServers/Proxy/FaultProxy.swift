import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Stands between a client and a server and spoils the traffic as it is told to: refuses, holds back, delays, cuts,
/// half-closes, loses answers. Without orders it passes everything on, the ends of streams included.
public final class FaultProxy: Sendable {
    public enum Target: Sendable, Hashable {
        case unixSocket(String)
        /// A port on 127.0.0.1.
        case port(Int)
    }

    /// What happens to traffic until it is said otherwise.
    public struct Weather: Sendable, Hashable {
        /// New connections are closed at once; where somebody looks at the traffic, when the client has said something
        /// and that has been looked at.
        public var isRefusing = false
        /// Bytes on their way to the server wait here.
        public var holdsRequests = false
        /// Bytes on their way to the client wait here.
        public var holdsReplies = false
        /// How late bytes arrive, in each direction.
        public var delay = Duration.zero

        public init(
            isRefusing: Bool = false, holdsRequests: Bool = false, holdsReplies: Bool = false,
            delay: Duration = .zero
        ) {
            self.isRefusing = isRefusing
            self.holdsRequests = holdsRequests
            self.holdsReplies = holdsReplies
            self.delay = delay
        }
    }

    /// Where clients are to connect: a port on 127.0.0.1.
    public let port: Int
    private let target: Target
    private let tap: (@Sendable () -> any ProxyTap)?
    /// Nil while nobody listens.
    private let channel: NIOLockedValueBox<(any Channel)?>
    private let control: ProxyControl

    private init(
        to target: Target, tap: (@Sendable () -> any ProxyTap)?, channel: any Channel, port: Int, control: ProxyControl
    ) {
        self.target = target
        self.tap = tap
        self.channel = NIOLockedValueBox(channel)
        self.port = port
        self.control = control
    }

    /// Starts listening. The server need not be there yet: a client whose connection cannot be passed on sees it close.
    ///
    /// - Parameters:
    ///   - port: where to listen; 0 takes a free one.
    ///   - tap: makes somebody who looks at the traffic, for each connection.
    public static func start(
        to target: Target, port: Int = 0, tap: (@Sendable () -> any ProxyTap)? = nil
    ) async throws -> FaultProxy {
        let control = ProxyControl()
        let channel = try await listen(on: port, target, tap, control)
        guard let port = channel.localAddress?.port else { throw ServerFailure("the proxy listens on no port") }
        return FaultProxy(to: target, tap: tap, channel: channel, port: port, control: control)
    }

    private static func listen(
        on port: Int, _ target: Target, _ tap: (@Sendable () -> any ProxyTap)?, _ control: ProxyControl
    ) async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            // So that it can listen again while connections of before are still ending.
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { client in
                let tap = tap?()
                guard control.weather.isRefusing else { return link(client, to: target, control: control, tap: tap) }
                guard let tap else { return client.eventLoop.makeFailedFuture(ServerFailure("refused as ordered")) }
                return client.eventLoop.makeCompletedFuture {
                    try client.pipeline.syncOperations.addHandler(ProxyRefusal(tap: tap))
                }.flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: port).get()
    }

    private static func link(
        _ client: any Channel, to target: Target, control: ProxyControl, tap: (any ProxyTap)?
    ) -> EventLoopFuture<Void> {
        // Both sides of a connection live on one event loop.
        let bootstrap = ClientBootstrap(group: client.eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { server in
                server.eventLoop.makeCompletedFuture {
                    try server.pipeline.syncOperations.addHandler(
                        ProxyRelay(.toClient, to: client, control: control, tap: tap))
                }
            }
        let connection =
            switch target {
            case .unixSocket(let path): bootstrap.connect(unixDomainSocketPath: path)
            case .port(let port): bootstrap.connect(host: "127.0.0.1", port: port)
            }
        return connection.flatMap { server in
            client.eventLoop.makeCompletedFuture {
                try client.pipeline.syncOperations.addHandler(
                    ProxyRelay(.toServer, to: server, control: control, tap: tap))
            }
        }.flatMap { client.setOption(.autoRead, value: true) }
    }

    public var weather: Weather { control.weather }

    /// Changes the weather; what was held back and need not be any more goes on at once.
    public func set(_ weather: Weather) {
        control.weather = weather
        order(.goOn)
    }

    /// Nobody listens any more: the system refuses new connections, so that clients know that nothing was sent. Those
    /// under way go on.
    public func stopListening() async {
        let channel = channel.withLockedValue { channel in
            defer { channel = nil }
            return channel
        }
        try? await channel?.close().get()
    }

    /// Listens again, on the same port: have a ``FreePort`` for that.
    public func listenAgain() async throws {
        guard channel.withLockedValue({ $0 }) == nil else { return }
        let channel = try await Self.listen(on: port, target, tap, control)
        self.channel.withLockedValue { $0 = channel }
    }

    /// Closes every connection under way, whatever is on its way with it.
    public func cut() { order(.cut) }

    /// Tells every client that the server has said its last word; what clients send is still passed on.
    public func halfClose() { order(.halfClose) }

    /// Lets the next this many answers get lost: the request is passed on, and the connection is closed at the first
    /// byte that comes back.
    public func loseAnswers(_ count: Int) { control.loseAnswers(count) }

    /// Holds all replies back from the moment at which a request with these bytes in it has been passed on.
    public func holdReplies(after request: String) { control.holdReplies(after: Array(request.utf8)) }

    /// Connections under way.
    public var connections: Int { control.channels.count }

    public func close() async {
        order(.cut)
        await stopListening()
    }

    private func order(_ order: ProxyOrder) {
        for channel in control.channels {
            channel.eventLoop.execute { channel.pipeline.fireUserInboundEventTriggered(order) }
        }
    }
}

/// Looks at the traffic of one connection; called on its event loop.
public protocol ProxyTap: Sendable {
    /// Bytes that the client has sent.
    func sent(_ bytes: ByteBuffer)
    /// Bytes that have been handed to the client.
    func received(_ bytes: ByteBuffer)
    /// The connection is over.
    func ended()
}

enum ProxyOrder: Sendable {
    case goOn, cut, halfClose
}

/// What all connections of a proxy share.
final class ProxyControl: Sendable {
    private struct State {
        var weather = FaultProxy.Weather()
        var answersToLose = 0
        var trigger: [UInt8]?
        var channels: [ObjectIdentifier: any Channel] = [:]
    }

    private let state = NIOLockedValueBox(State())

    var weather: FaultProxy.Weather {
        get { state.withLockedValue { $0.weather } }
        set { state.withLockedValue { $0.weather = newValue } }
    }

    var channels: [any Channel] { state.withLockedValue { Array($0.channels.values) } }

    func add(_ channel: any Channel) {
        state.withLockedValue { $0.channels[ObjectIdentifier(channel)] = channel }
    }

    func remove(_ channel: any Channel) {
        state.withLockedValue { $0.channels[ObjectIdentifier(channel)] = nil }
    }

    func loseAnswers(_ count: Int) {
        state.withLockedValue { $0.answersToLose = count }
    }

    /// Whether the answer that has just begun is one of those.
    func takesAnswer() -> Bool {
        state.withLockedValue { state in
            guard state.answersToLose > 0 else { return false }
            state.answersToLose -= 1
            return true
        }
    }

    func holdReplies(after request: [UInt8]) {
        state.withLockedValue { $0.trigger = request }
    }

    /// Holds replies back from now on, if this is the request for it.
    func saw(_ request: ByteBuffer) {
        state.withLockedValue { state in
            guard let trigger = state.trigger, request.readableBytesView.firstRange(of: trigger) != nil else { return }
            state.trigger = nil
            state.weather.holdsReplies = true
        }
    }
}
