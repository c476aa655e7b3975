import NIOCore

/// One direction of a proxied connection: takes what one side sends and passes it on to the other, in order, when the
/// weather lets it.
final class ProxyRelay: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    enum Direction {
        case toServer, toClient
    }

    private enum Item {
        case bytes(ByteBuffer)
        case end
    }

    private let direction: Direction
    private let peer: any Channel
    private let control: ProxyControl
    private let tap: (any ProxyTap)?
    private var waiting: [Item] = []
    /// Nothing is passed on before this, so that a shorter delay does not overtake a longer one.
    private var notBefore = NIODeadline.now()

    init(_ direction: Direction, to peer: any Channel, control: ProxyControl, tap: (any ProxyTap)?) {
        self.direction = direction
        self.peer = peer
        self.control = control
        self.tap = tap
    }

    func handlerAdded(context: ChannelHandlerContext) { control.add(context.channel) }

    func handlerRemoved(context: ChannelHandlerContext) { control.remove(context.channel) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        switch direction {
        case .toServer:
            control.saw(bytes)
            tap?.sent(bytes)
        case .toClient:
            if control.takesAnswer() {
                context.close(promise: nil)
                peer.close(promise: nil)
                return
            }
        }
        waiting.append(.bytes(bytes))
        passOn(on: context.eventLoop)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            waiting.append(.end)
            passOn(on: context.eventLoop)
        case let order as ProxyOrder:
            switch order {
            case .goOn: passOn(on: context.eventLoop)
            case .cut: context.close(promise: nil)
            case .halfClose: if direction == .toClient { peer.close(mode: .output, promise: nil) }
            }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if direction == .toServer { tap?.ended() }
        peer.close(promise: nil)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func passOn(on eventLoop: any EventLoop) {
        let weather = control.weather
        guard !(direction == .toServer ? weather.holdsRequests : weather.holdsReplies) else { return }
        let items = waiting
        waiting = []
        for item in items {
            let now = NIODeadline.now()
            let due = max(now + TimeAmount(weather.delay), notBefore)
            if due <= now {
                Self.pass(item, to: peer, tap: direction == .toClient ? tap : nil)
            } else {
                notBefore = due + .nanoseconds(1)
                let (peer, tap) = (peer, direction == .toClient ? tap : nil)
                eventLoop.scheduleTask(deadline: due) { Self.pass(item, to: peer, tap: tap) }
            }
        }
    }

    private static func pass(_ item: Item, to peer: any Channel, tap: (any ProxyTap)?) {
        switch item {
        case .bytes(let bytes):
            tap?.received(bytes)
            peer.writeAndFlush(bytes, promise: nil)
        case .end: peer.close(mode: .output, promise: nil)
        }
    }
}
