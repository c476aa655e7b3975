import NIOCore

/// Closes a connection as soon as its client has said something, and lets somebody look at that first: a client whose
/// connection was taken cannot know that its request went nowhere.
final class ProxyRefusal: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let tap: any ProxyTap

    init(tap: any ProxyTap) {
        self.tap = tap
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        tap.sent(unwrapInboundIn(data))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        tap.ended()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
