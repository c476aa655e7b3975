import NIOConcurrencyHelpers

/// A request's body, kept so that it can be sent more than once as far as the limits, and the room on the disk, allow.
final class RequestBody: Sendable {
    private enum Content: Sendable {
        case none
        case memory([UInt8])
        /// The beginning, and the rest in a file.
        case file(KeptBytes)
        /// What has been read so far, and the caller who sends the rest.
        case live(KeptBytes, length: Int64?)
    }

    private struct State {
        var content: Content
        /// Bytes of a live body that were read.
        var read: Int64 = 0
        var isRead = false
    }

    private let caller: any GatewayCaller
    private let idle: Duration
    private let state: NIOLockedValueBox<State>

    private init(content: Content, caller: any GatewayCaller, idle: Duration) {
        self.caller = caller
        self.idle = idle
        var state = State(content: content)
        if case .live(let kept, let length) = content {
            state.read = kept.length
            state.isRead = kept.length == length
        } else {
            state.isRead = true
        }
        self.state = NIOLockedValueBox(state)
    }

    /// Of a request without one.
    convenience init(none caller: any GatewayCaller) {
        self.init(content: .none, caller: caller, idle: .zero)
    }

    private var content: Content { state.withLockedValue { $0.content } }

    /// Whether it can be sent again.
    var canRepeat: Bool {
        if case .live = content { false } else { true }
    }

    /// The whole body, where it is in memory.
    var bytes: [UInt8]? {
        if case .memory(let bytes) = content { bytes } else { nil }
    }

    /// Where a part of it is kept.
    var file: SpillFile? {
        switch content {
        case .none, .memory: nil
        case .file(let kept), .live(let kept, _): kept.file
        }
    }

    /// Whether all of it has come from the caller.
    var isRead: Bool { state.withLockedValue { $0.isRead } }

    /// There will be no other try: forgets what is kept for one.
    func drop() {
        // Bytes and file are let go of outside of the lock.
        _ = state.withLockedValue { state in
            let content = state.content
            state.content = .none
            return content
        }
    }

    /// Reads the body to its end, or as far as it is kept.
    ///
    /// - Parameter remaining: the time left of the request's deadline.
    static func collect(
        _ caller: any GatewayCaller, limits: ReplayLimits, idle: Duration, space: SpillSpace,
        remaining: @Sendable () -> Duration
    ) async throws(GatewayFailure) -> RequestBody {
        func body(_ content: Content) -> RequestBody { RequestBody(content: content, caller: caller, idle: idle) }
        var announced: Int64?
        switch caller.request.body {
        case .none: return body(.none)
        case .length(0): return body(.memory([]))
        case .length(let length): announced = length
        case .unknown: break
        }
        let most = Int64(max(limits.memory, limits.file))
        if most == 0 || announced.map({ $0 > most }) == true { return body(.live(KeptBytes(), length: announced)) }
        var kept = KeptBytes()
        while kept.length <= most, kept.tail.isEmpty {
            guard let piece = try await next(caller, within: min(idle, remaining())) else {
                return body(kept.file == nil ? .memory(kept.memory) : .file(kept))
            }
            // Without room for files the piece that is too much is kept as well: it has to be sent once.
            let isForMemory = kept.memory.count + piece.count <= limits.memory || limits.file <= limits.memory
            if kept.file == nil, isForMemory {
                kept.memory += piece
            } else {
                do {
                    try await kept.write(piece, in: space)
                } catch {
                    space.failed(error)
                    kept.tail = piece
                }
            }
        }
        return body(.live(kept, length: announced))
    }

    /// The body for one try. What its source throws is an ``UpstreamFailure``.
    func outgoing() -> UpstreamCall.Body {
        switch content {
        case .none: return .none
        case .memory(let bytes): return .bytes(bytes)
        case .file(let kept):
            let reading = KeptBytes.Reading(kept)
            return .stream(length: kept.length) { try await reading.next() }
        case .live(let kept, let length):
            let reading = KeptBytes.Reading(kept)
            return .stream(length: length) { [self] in
                if let piece = try await reading.next() { return piece }
                return try await nextLive(of: length)
            }
        }
    }

    private func nextLive(of length: Int64?) async throws(UpstreamFailure) -> [UInt8]? {
        let piece: [UInt8]?
        do {
            piece = try await caller.readBody(within: idle)
        } catch {
            throw UpstreamFailure(error)
        }
        state.withLockedValue { state in
            state.read += Int64(piece?.count ?? 0)
            if piece == nil || state.read == length { state.isRead = true }
        }
        return piece
    }

    private static func next(
        _ caller: any GatewayCaller, within limit: Duration
    ) async throws(GatewayFailure) -> [UInt8]? {
        do {
            return try await caller.readBody(within: max(limit, .milliseconds(1)))
        } catch {
            throw GatewayFailure(error)
        }
    }
}

extension GatewayFailure {
    init(_ fault: CallerFault) {
        switch fault {
        case .gone: self.init(.callerGone)
        case .malformed: self.init(.refused(.body, fault.text))
        case .slow: self.init(.refused(.slowBody, fault.text))
        }
    }
}

extension UpstreamFailure {
    /// Some of the body may have left.
    fileprivate init(_ fault: CallerFault) {
        let kind: Kind =
            switch fault {
            case .gone: .cancelled
            case .malformed: .body
            case .slow: .slowBody
            }
        self.init(kind, isUnsent: false, fault.text)
    }
}

extension CallerFault {
    fileprivate var text: String {
        switch self {
        case .gone: "the caller has gone away"
        case .malformed: "the body is not framed as RFC 9112 has it, or ended too early"
        case .slow: "the body came too slowly"
        }
    }
}
