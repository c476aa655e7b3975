/// An answer whose head is there, with what of its body has been held back.
final class HeldAnswer {
    let stream: any UpstreamAnswer
    let head: GatewayAnswerHead
    let framing: AnswerFraming
    /// Of the token that the call was made with; nil without one of ours.
    let echo: TokenEcho?
    private(set) var held: [UInt8] = []
    /// The body has been seen whole.
    private(set) var hasEnded: Bool

    /// - Throws: ``UpstreamFailure`` for a body whose end cannot be told.
    init(_ stream: any UpstreamAnswer, method: String, echo: TokenEcho? = nil) throws(UpstreamFailure) {
        self.stream = stream
        self.echo = echo
        self.head = stream.head
        framing = try Self.framing(stream.head, method: method)
        hasEnded = framing == .bodiless
    }

    /// Announced.
    var length: Int64? {
        if case .length(let length) = framing { length } else { nil }
    }

    /// Of the body that GET would have got, where this answer has none. Not of 204 (RFC 9110 §8.6).
    var lengthOfNoBody: String? {
        guard framing == .bodiless, head.status != 204,
            let length = AnswerHeaders.value("content-length", in: head.headers), Self.number(length) != nil
        else { return nil }
        return length
    }

    /// Whether rules can make anything of the body.
    var isReadable: Bool {
        let encoding = AnswerHeaders.value("content-encoding", in: head.headers)?.trimmingBlanks.lowercased()
        return encoding == nil || encoding == "" || encoding == "identity"
    }

    /// Waits for the next piece, or the end.
    ///
    /// - Returns: false when neither came in time, which does the answer no harm.
    func hold(within limit: Duration) async throws(UpstreamFailure) -> Bool {
        guard let piece = try await stream.next(within: limit) else {
            hasEnded = true
            return true
        }
        held += piece
        return !piece.isEmpty
    }

    /// What has been held back, which then is no more.
    func takeHeld() -> [UInt8] {
        defer { held = [] }
        return held
    }

    /// What has come of the body is not the beginning of a JSON object or array.
    var isNoDocument: Bool {
        // A byte order mark may stand before it.
        guard let first = held.first(where: { ![0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF].contains($0) }) else {
            return false
        }
        return first != UInt8(ascii: "{") && first != UInt8(ascii: "[")
    }

    /// RFC 9112 §6.3. Of several lengths, and of one beside a transfer coding, none can be trusted.
    private static func framing(_ head: GatewayAnswerHead, method: String) throws(UpstreamFailure) -> AnswerFraming {
        if method == "HEAD" || head.status == 204 || head.status == 304 { return .bodiless }
        var length: String?
        for field in head.headers {
            switch field.name.lowercased() {
            case "transfer-encoding": return .chunked
            case "content-length":
                guard length == nil || length == field.value else {
                    throw UpstreamFailure(.broken, isUnsent: false, "the answer has two lengths")
                }
                length = field.value
            default: continue
            }
        }
        guard let length else { return .chunked }
        guard let number = number(length) else {
            throw UpstreamFailure(.broken, isUnsent: false, "the answer's length is no number")
        }
        return .length(number)
    }

    private static func number(_ text: String) -> Int64? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
    }
}
