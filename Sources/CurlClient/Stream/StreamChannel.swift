import NIOConcurrencyHelpers

/// Where the loop's thread leaves what has come of a response, and its reader takes it.
///
/// The loop only fills it while libcurl runs; who waits is woken by ``deliver()`` when libcurl has done its round. A
/// response that comes in one piece therefore wakes its reader once, and the reader finds all of it.
final class StreamChannel: Sendable {
    typealias Outcome = Result<[UInt8]?, CurlError>
    typealias Opening = Result<CurlResponseHead, CurlError>

    enum Taken {
        /// `resumes`: the server is being held up, and the loop has to be told that it need not be any longer.
        case bytes([UInt8], resumes: Bool)
        case ended(Outcome)
        case nothing
    }

    private struct State {
        var head: CurlResponseHead?
        var opener: CheckedContinuation<Opening, Never>?
        var buffer: [UInt8] = []
        var end: Result<[(name: String, value: String)], CurlError>?
        var reader: CheckedContinuation<Outcome, Never>?
        /// How often somebody has waited.
        var waits = 0
        /// The wait that is to end at once, because its time was over before it began.
        var abandoned: Int?
        var isHeldUp = false
    }

    private let state = NIOLockedValueBox(State())
    private let window: Int

    init(window: Int) {
        self.window = max(1, window)
    }

    // MARK: The reader's side

    /// To be called before the transfer is submitted.
    func open(_ opener: CheckedContinuation<Opening, Never>) {
        state.withLockedValue { $0.opener = opener }
    }

    func take() -> Taken {
        state.withLockedValue { Self.take(&$0) }
    }

    /// The number of the next call of ``wait(_:)``.
    var nextWait: Int { state.withLockedValue { $0.waits + 1 } }

    /// Ends that wait with nothing; does nothing when it is over.
    func giveUp(wait number: Int) {
        let reader = state.withLockedValue { state -> CheckedContinuation<Outcome, Never>? in
            guard state.waits == number else {
                if state.waits < number { state.abandoned = number }
                return nil
            }
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: .success([]))
    }

    /// Resumes the reader at once if something has come in the meantime. True if the server need not be held up any
    /// longer.
    func wait(_ reader: CheckedContinuation<Outcome, Never>) -> Bool {
        var resumes = false
        let outcome: Outcome? = state.withLockedValue { state in
            state.waits += 1
            if let outcome = Self.outcome(of: &state, &resumes) { return outcome }
            guard state.reader == nil else {
                return .failure(
                    CurlError(code: .invalidRequest, unsent: false, message: "Two tasks read the same stream."))
            }
            if state.abandoned == state.waits { return .success([]) }
            state.reader = reader
            return nil
        }
        if let outcome { reader.resume(returning: outcome) }
        return resumes
    }

    var trailers: [(name: String, value: String)] {
        state.withLockedValue { state in (try? state.end?.get()) ?? [] }
    }

    /// True if the transfer has to be ended.
    func cancel() -> Bool {
        let (reader, wasUnderWay) = state.withLockedValue { state in
            guard state.end == nil else { return (nil as CheckedContinuation<Outcome, Never>?, false) }
            state.end = .failure(Self.cancelled)
            state.buffer = []
            defer { state.reader = nil }
            return (state.reader, true)
        }
        reader?.resume(returning: .failure(Self.cancelled))
        return wasUnderWay
    }

    private static let cancelled = CurlError(code: .cancelled, unsent: false, message: "The stream was cancelled.")

    private static func take(_ state: inout State) -> Taken {
        guard state.buffer.isEmpty else {
            var bytes: [UInt8] = []
            swap(&bytes, &state.buffer)
            defer { state.isHeldUp = false }
            return .bytes(bytes, resumes: state.isHeldUp)
        }
        guard let end = state.end else { return .nothing }
        return .ended(end.map { _ in nil })
    }

    private static func outcome(of state: inout State, _ resumes: inout Bool) -> Outcome? {
        switch take(&state) {
        case .bytes(let bytes, let wasHeldUp):
            resumes = wasHeldUp
            return .success(bytes)
        case .ended(let end):
            return end
        case .nothing:
            return nil
        }
    }

    // MARK: The loop's side

    /// The window is full, and the reader has not taken anything since.
    var isHeldUp: Bool { state.withLockedValue { $0.isHeldUp } }

    func arrived(_ head: CurlResponseHead) {
        state.withLockedValue { $0.head = head }
    }

    /// False: the window is full, the bytes are not taken.
    func arrived(_ bytes: UnsafeRawBufferPointer) -> Bool {
        state.withLockedValue { state in
            // Cancelled: nobody will ask for it, and the loop hears of it soon.
            guard state.end == nil else { return true }
            guard state.buffer.count < window else {
                state.isHeldUp = true
                return false
            }
            state.buffer.append(contentsOf: bytes)
            return true
        }
    }

    /// - Parameter dropsBuffer: what has come and is unread is of no use any more.
    func ended(_ end: Result<[(name: String, value: String)], CurlError>, dropsBuffer: Bool = false) {
        state.withLockedValue { state in
            guard state.end == nil else { return }
            state.end = end
            if dropsBuffer { state.buffer = [] }
        }
    }

    /// Resumes whoever waits for what is there now. True if the server need not be held up any longer.
    func deliver() -> Bool {
        var resumes = false
        let (opening, reading) = state.withLockedValue { state in
            var opening: (CheckedContinuation<Opening, Never>, Opening)?
            var reading: (CheckedContinuation<Outcome, Never>, Outcome)?
            if let opener = state.opener {
                if let head = state.head {
                    opening = (opener, .success(head))
                } else if case .failure(let error)? = state.end {
                    opening = (opener, .failure(error))
                }
                if opening != nil { state.opener = nil }
            }
            if let reader = state.reader, let outcome = Self.outcome(of: &state, &resumes) {
                reading = (reader, outcome)
                state.reader = nil
            }
            return (opening, reading)
        }
        if let (opener, result) = opening { opener.resume(returning: result) }
        if let (reader, outcome) = reading { reader.resume(returning: outcome) }
        return resumes
    }
}
