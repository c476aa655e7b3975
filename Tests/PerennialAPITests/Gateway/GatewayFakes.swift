import Gateway
import Logging
import Metrics
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Providers
import RefreshCore

@testable import PerennialAPI

/// An answer that a test gives piece by piece.
final class ScriptedAnswer: UpstreamAnswer {
    private struct State {
        var pieces: [[UInt8]] = []
        var isComplete = false
        var isCancelled = false
        var taken = 0
        var waiter: CheckedContinuation<Void, Never>?
    }

    let head: GatewayAnswerHead
    let trailers: [HeaderField]
    private let state = NIOLockedValueBox(State())

    init(_ status: Int, headers: [HeaderField] = [], trailers: [HeaderField] = []) {
        head = GatewayAnswerHead(status: status, reason: "Fine", headers: headers)
        self.trailers = trailers
    }

    /// Complete at once.
    static func whole(_ status: Int, _ body: String = "", headers: [HeaderField] = []) -> ScriptedAnswer {
        let length: HeaderField = ("Content-Length", String(body.utf8.count))
        let answer = ScriptedAnswer(status, headers: headers + [length])
        if !body.isEmpty { answer.give(body) }
        answer.complete()
        return answer
    }

    func give(_ text: String) { change { $0.pieces.append(Array(text.utf8)) } }
    func complete() { change { $0.isComplete = true } }
    func cancel() { change { $0.isCancelled = true } }
    var isCancelled: Bool { state.withLockedValue { $0.isCancelled } }
    /// Bytes that have been asked for.
    var taken: Int { state.withLockedValue { $0.taken } }

    func next() async throws(UpstreamFailure) -> [UInt8]? {
        while true {
            enum Now { case piece([UInt8]), end, gone, wait }
            let now: Now = state.withLockedValue { state in
                if state.isCancelled || Task.isCancelled { return .gone }
                guard state.pieces.isEmpty else {
                    let piece = state.pieces.removeFirst()
                    state.taken += piece.count
                    return .piece(piece)
                }
                return state.isComplete ? .end : .wait
            }
            switch now {
            case .piece(let piece): return piece
            case .end: return nil
            case .gone: throw UpstreamFailure(.cancelled, isUnsent: false, "cancelled")
            case .wait:
                await withTaskCancellationHandler {
                    await withCheckedContinuation { continuation in
                        let isThere = state.withLockedValue { state in
                            guard state.pieces.isEmpty, !state.isComplete, !state.isCancelled, !Task.isCancelled else {
                                return true
                            }
                            state.waiter = continuation
                            return false
                        }
                        if isThere { continuation.resume() }
                    }
                } onCancel: {
                    cancel()
                }
            }
        }
    }

    func next(within limit: Duration) async throws(UpstreamFailure) -> [UInt8]? { try await next() }

    private func change(_ body: (inout State) -> Void) {
        let waiter = state.withLockedValue { state in
            body(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}

/// Remembers what it was asked, with the whole body.
final class ScriptedUpstream: Upstream {
    struct Seen: Sendable {
        var method: String
        var url: String
        var headers: [HeaderField]
        var body: String

        func header(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }
    }

    let seen = NIOLockedValueBox<[Seen]>([])
    private let answer: @Sendable (Seen) async throws(UpstreamFailure) -> ScriptedAnswer
    private let informational: [GatewayAnswerHead]

    init(
        informational: [GatewayAnswerHead] = [],
        _ answer: @escaping @Sendable (Seen) async throws(UpstreamFailure) -> ScriptedAnswer
    ) {
        self.informational = informational
        self.answer = answer
    }

    /// Those that were given so far.
    var answers: [ScriptedAnswer] { given.withLockedValue { $0 } }
    private let given = NIOLockedValueBox<[ScriptedAnswer]>([])

    var calls: [Seen] { seen.withLockedValue { $0 } }

    func open(
        _ call: UpstreamCall, informational: @escaping @Sendable (GatewayAnswerHead) -> Void
    ) async throws(UpstreamFailure) -> any UpstreamAnswer {
        var body: [UInt8] = []
        switch call.body {
        case .none: break
        case .bytes(let bytes): body = bytes
        case .stream(_, let source):
            do {
                while let piece = try await source() { body += piece }
            } catch {
                throw UpstreamFailure(.body, isUnsent: false, "the body is cut")
            }
        }
        let seen = Seen(
            method: call.method, url: call.head.url, headers: call.head.headers,
            body: String(decoding: body, as: UTF8.self))
        self.seen.withLockedValue { $0.append(seen) }
        for head in self.informational { informational(head) }
        let answer = try await answer(seen)
        given.withLockedValue { $0.append(answer) }
        return answer
    }
}

extension House {
    /// A gateway with the route `api` for the account `a`.
    func gateway(
        _ upstream: any Upstream, metrics: any MetricsFactory = NOOPMetricsHandler.instance,
        change: (inout GatewayRoute) -> Void = { _ in }
    ) throws -> Gateway {
        var route = GatewayRoute(
            name: "api", upstream: try UpstreamURL("https://api.example/v1"), source: .account(try AccountID("a")))
        change(&route)
        var spill = SpillSettings()
        spill.keepsFree = 0
        return Gateway(
            routes: RouteCatalog([route]), tokens: backend.reader, pools: nil, upstream: upstream,
            providers: ProviderCatalog(), time: time, spillDirectory: "/tmp", spill: spill, metrics: metrics,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
}
