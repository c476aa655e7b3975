import JSONText
import NIOPosix
import Providers
import RefreshCore

/// What is found out of a request before the first try.
extension GatewayCall {
    /// From this length on, in bytes, a document is not read on the thread of connections.
    private static let longDocument = 64 * 1024

    func outgoingHeaders(_ target: RequestTarget) throws(GatewayFailure) -> RequestHeaders {
        let request = caller.request
        guard !["CONNECT", "TRACE"].contains(request.method) else {
            throw .refused(.method, "the gateway passes on all methods but CONNECT and TRACE")
        }
        if let upgrade = request.header("upgrade"), !Self.isIgnorable(upgrade) {
            throw .refused(.upgrade, "the gateway speaks HTTP/1.1 only: WebSocket and other upgrades are not supported")
        }
        guard !RequestHeaders.isLoop(request.headers) else {
            throw .refused(.loop, "the call has been through this gateway several times: look at the route's upstream")
        }
        if let query = target.query, query.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || $0 == UInt8(ascii: "#") })
        {
            throw .refused(.path, "the query holds a blank, a control or non-ASCII character or a #: percent-encode it")
        }
        let path: String
        do {
            path = try PathResolution.join(
                route.upstream.prefix, target.path, allowsEncodedSlashes: route.allowsEncodedSlashes)
        } catch {
            throw .refused(.path, "the path \(error.description)")
        }
        return RequestHeaders(request, path: path, query: target.query, route: route)
    }

    /// A server may ignore an upgrade (RFC 9110 §7.8). That to HTTP/2 is offered with plain requests by common clients; who
    /// wants another protocol has no use for an answer in this one.
    private static func isIgnorable(_ upgrade: String) -> Bool {
        upgrade.split(separator: ",").allSatisfy { ["h2c", "h2", ""].contains($0.trimmingBlanks.lowercased()) }
    }

    func source() throws(GatewayFailure) -> RouteSource {
        if let choice = route.choice, let text = caller.request.header(choice.header.lowercased()) {
            guard let source = choice.source(text.trimmingBlanks) else {
                throw .refused(.choice, "\(choice.header) names no account or pool that this route allows")
            }
            return source
        }
        guard let source = route.source else {
            throw .refused(.noChoice, "name an account or pool in the header \(route.choice?.header ?? "")")
        }
        return source
    }

    /// The model or scope, and the session, that pools want to know.
    mutating func describe(_ body: RequestBody) async {
        if let header = route.sessionHeader {
            session = caller.request.header(header.lowercased()).flatMap {
                (1...PoolRequest.maximumSession).contains($0.utf8.count) ? $0 : nil
            }
        }
        switch route.dimension {
        case nil: break
        case .header(let name):
            dimension = caller.request.header(name.lowercased())
        case .json(let pointer):
            guard let bytes = body.bytes else { return }
            dimension = await Self.value(at: pointer, in: bytes)
        }
    }

    private static func value(at pointer: JSONPointer, in bytes: [UInt8]) async -> String? {
        let read = { @Sendable () -> String? in
            guard let document = try? JSONReader.parse(bytes, .lenient, maximumDepth: 128) else { return nil }
            return pointer.value(in: document).flatMap(\.scalarText)
        }
        guard bytes.count > longDocument else { return read() }
        return (try? await NIOThreadPool.singleton.runIfActive(read)) ?? nil
    }
}
