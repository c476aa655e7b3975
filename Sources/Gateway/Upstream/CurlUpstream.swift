public import CurlClient
import NIOConcurrencyHelpers
import RefreshCore

/// Calls by ``CurlClient``.
public struct CurlUpstream: Upstream {
    private let curl: CurlClient

    /// Heads and trailers of one answer, in bytes.
    static let mostHeadBytes = 128 * 1024

    public init(curl: CurlClient) {
        self.curl = curl
    }

    public func open(
        _ call: UpstreamCall, informational: @escaping @Sendable (GatewayAnswerHead) -> Void
    ) async throws(UpstreamFailure) -> any UpstreamAnswer {
        let fault = NIOLockedValueBox<UpstreamFailure?>(nil)
        do {
            return try await begin(call, informational, fault)
        } catch {
            // Why the body was given up, the source knows better.
            if error.code == .upload, let fault = fault.withLockedValue({ $0 }) { throw fault }
            throw UpstreamFailure(error)
        }
    }

    private func begin(
        _ call: UpstreamCall, _ informational: @escaping @Sendable (GatewayAnswerHead) -> Void,
        _ fault: NIOLockedValueBox<UpstreamFailure?>
    ) async throws(CurlError) -> Answer {
        var request = CurlRequest(
            method: call.method, url: call.head.url, headers: call.head.headers, connectTimeout: call.connect,
            maxResponseBytes: Self.mostHeadBytes, tls: CurlTLS(caFile: call.caFile))
        // A server that has closed an idle connection may have read the request before: only what can be repeated
        // without harm is sent again by libcurl (RFC 9110 §9.2.2).
        request.singleSend = !Self.idempotent.contains(call.method)
        if let proxy = call.proxy {
            request.proxy = try CurlProxy(
                url: proxy.url, username: proxy.username?.reveal(), password: proxy.password?.reveal(),
                caFile: call.proxyCAFile)
        }
        var upload: CurlUpload?
        var pump: Task<Void, Never>?
        switch call.body {
        case .none: break
        case .bytes(let bytes): request.body = call.method == "HEAD" ? nil : bytes
        case .stream(let length, let source):
            let target = CurlUpload(length: length)
            upload = target
            pump = Task { await Self.pump(source, into: target, fault) }
        }
        let limits = CurlStreamLimits(head: call.firstByte, opening: call.untilHead, idle: call.idle)
        do {
            let stream = try await curl.open(request, upload: upload, limits: limits) { head in
                informational(GatewayAnswerHead(head))
            }
            return Answer(stream: stream, pump: pump)
        } catch {
            pump?.cancel()
            throw error
        }
    }

    /// RFC 9110 §9.2.2.
    private static let idempotent: Set<String> = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]

    private static func pump(
        _ source: @Sendable () async throws -> [UInt8]?, into upload: CurlUpload,
        _ fault: NIOLockedValueBox<UpstreamFailure?>
    ) async {
        do {
            while let piece = try await source() { try await upload.write(piece) }
            upload.finish()
        } catch {
            let failure = error as? UpstreamFailure
            fault.withLockedValue { $0 = failure }
            upload.fail()
        }
    }

    private final class Answer: UpstreamAnswer {
        let head: GatewayAnswerHead
        private let stream: CurlStream
        /// What sends the request's body, where that is streamed.
        private let pump: Task<Void, Never>?

        init(stream: CurlStream, pump: Task<Void, Never>?) {
            self.head = GatewayAnswerHead(stream.head)
            self.stream = stream
            self.pump = pump
        }

        deinit { pump?.cancel() }

        func next() async throws(UpstreamFailure) -> [UInt8]? {
            do {
                return try await stream.next()
            } catch {
                throw UpstreamFailure(error)
            }
        }

        func next(within limit: Duration) async throws(UpstreamFailure) -> [UInt8]? {
            do {
                return try await stream.next(within: limit)
            } catch {
                throw UpstreamFailure(error)
            }
        }

        var trailers: [HeaderField] { stream.trailers }

        func cancel() {
            pump?.cancel()
            stream.cancel()
        }
    }
}

extension GatewayAnswerHead {
    fileprivate init(_ head: CurlResponseHead) {
        self.init(status: head.status, reason: head.reason, headers: head.headers)
    }
}

extension UpstreamFailure {
    fileprivate init(_ error: CurlError) {
        let kind: Kind =
            switch error.code {
            case .resolve, .connect, .tls: .unreachable
            case .proxy: .proxy
            case .timeout, .sendByMissed: .timeout
            case .cancelled: .cancelled
            case .shutDown: .shutDown
            case .malformedURL, .invalidHeader, .invalidRequest: .invalid
            case .upload: .body
            default: .broken
            }
        self.init(kind, isUnsent: error.unsent, error.message)
    }
}
