import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypesHTTP1

/// Sets up an accepted connection: Hummingbird's HTTP/1 channel with the ``ConnectionHandler`` in front of it.
struct APIConnection: ServerChildChannel {
    typealias Value = HTTP1Channel.Value

    private let http: HTTP1Channel
    private let responder: APIResponder
    private let idleTimeout: TimeAmount

    init(responder: APIResponder, idleTimeout: TimeAmount) {
        self.responder = responder
        self.idleTimeout = idleTimeout
        self.http = HTTP1Channel(
            responder: { request, writer, _ in try await responder.respond(request, writer) },
            configuration: .init(
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 16 * 1024, maxHeaderListSize: 32 * 1024, maxHeaderFieldCount: 100)))
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        http.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            // Before the codec into shared HTTP types: those cost as much as the whole warm answer.
            let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
            let outlet = RawOutlet()
            try pipeline.addHandler(outlet, position: .first)
            try pipeline.addHandler(
                ConnectionHandler(
                    warm: WarmRead(responder: responder), gateway: GatewayMount(responder), outlet: outlet,
                    idleTimeout: idleTimeout),
                position: .before(codec))
            return value
        }
    }

    func handle(value: Value, logger: Logger) async {
        await http.handle(value: value, logger: logger)
    }
}
