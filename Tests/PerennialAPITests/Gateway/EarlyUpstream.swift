import Gateway
import NIOConcurrencyHelpers

/// Answers before it has read anything of the request's body, and reads that when it is told to.
final class EarlyUpstream: Upstream {
    let answer: ScriptedAnswer
    private let source = NIOLockedValueBox<(@Sendable () async throws -> [UInt8]?)?>(nil)
    private let state = NIOLockedValueBox((bytes: 0, hasEnded: false, failed: false))

    init(_ answer: ScriptedAnswer) {
        self.answer = answer
    }

    func open(
        _ call: UpstreamCall, informational: @escaping @Sendable (GatewayAnswerHead) -> Void
    ) async throws(UpstreamFailure) -> any UpstreamAnswer {
        if case .stream(_, let source) = call.body { self.source.withLockedValue { $0 = source } }
        return answer
    }

    /// Begins to read the body, as far as it comes.
    func readBody() {
        guard let source = source.withLockedValue({ $0 }) else { return }
        Task { [state] in
            do {
                while let piece = try await source() { state.withLockedValue { $0.bytes += piece.count } }
                state.withLockedValue { $0.hasEnded = true }
            } catch {
                state.withLockedValue { $0.failed = true }
            }
        }
    }

    var hasSource: Bool { source.withLockedValue { $0 != nil } }
    var bytes: Int { state.withLockedValue { $0.bytes } }
    var hasEnded: Bool { state.withLockedValue { $0.hasEnded } }
}
