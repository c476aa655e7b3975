import Gateway
import NIOCore
import NIOHTTP1

/// The gateway as connections meet it.
struct GatewayMount: Sendable {
    let gateway: Gateway
    let responder: APIResponder

    /// Nil where no routes are configured.
    init?(_ responder: APIResponder) {
        guard let gateway = responder.backend.gateway else { return nil }
        self.gateway = gateway
        self.responder = responder
    }

    func takes(_ head: HTTPRequestHead) -> Bool { RequestTarget.matches(head.uri) }
}
