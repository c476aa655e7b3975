/// Brings an answer to the caller, piece by piece as it comes.
struct AnswerRelay {
    let caller: any GatewayCaller
    let answer: HeldAnswer
    /// Of the request.
    let body: RequestBody
    let policy: HeaderPolicy

    /// Up to this length the head waits for the beginning of the body, so that both leave at once.
    private static let short: Int64 = 16 * 1024
    /// How long an upstream may take to end an exchange whose answer is complete.
    private static let ending = Duration.seconds(1)

    struct Cut: Error {}

    /// - Throws: when the caller is gone, or the upstream has ended too early: the answer is cut, and must not look complete.
    func run(_ head: GatewayAnswerHead) async throws {
        try await caller.begin(head, framing: answer.framing)
        switch answer.framing {
        case .bodiless:
            try await caller.end(trailers: [])
            await finish()
        case .length(let length): try await relay(length)
        case .chunked: try await relay()
        }
    }

    private func relay(_ length: Int64) async throws {
        let held = answer.takeHeld()
        var left = length - Int64(held.count)
        guard left >= 0 else { throw Cut() }
        if !held.isEmpty { try await caller.write(held, flushes: left > 0) }
        if held.isEmpty, length > Self.short { caller.flush() }
        while left > 0 {
            guard let piece = try await answer.stream.next() else { throw Cut() }
            left -= Int64(piece.count)
            guard left >= 0 else { throw Cut() }
            try await caller.write(piece, flushes: left > 0)
        }
        try await caller.end(trailers: [])
        if !answer.hasEnded { await finish() }
    }

    private func relay() async throws {
        let held = answer.takeHeld()
        if held.isEmpty {
            if !answer.hasEnded { caller.flush() }
        } else {
            try await caller.write(held, flushes: !answer.hasEnded)
        }
        while !answer.hasEnded, let piece = try await answer.stream.next() {
            try await caller.write(piece, flushes: true)
        }
        let trailers = answer.stream.trailers
        try await caller.end(
            trailers: AnswerHeaders.trailers(answer.echo?.removed(from: trailers) ?? trailers, policy: policy))
    }

    /// Lets the connection to the upstream be used again, where that takes no time. An upstream that has answered early may
    /// be waiting for the rest of the request, for which nobody waits here.
    private func finish() async {
        let stream = answer.stream
        guard caller.request.body != .none else {
            _ = try? await stream.next()
            return
        }
        guard body.isRead else { return stream.cancel() }
        let limit = Task {
            try await Task.sleep(for: Self.ending)
            stream.cancel()
        }
        _ = try? await stream.next()
        limit.cancel()
    }
}
