extension MockTokenAnswer {
    /// The answer of a fault that strikes before the token is looked at; nil for one that strikes afterwards.
    init?(faultBefore kind: MockFault.Kind) {
        switch kind {
        case .errorBefore(let status): self.init(content: .failure(status: status))
        case .hangBefore(let duration): self.init(content: .failure(status: 504), hold: duration)
        case .throttle(retryAfter: let duration):
            self.init(content: .throttled(retryAfter: (duration.wholeMilliseconds + 999) / 1000))
        case .invalidGrant: self = .invalidGrant("Refresh token not found or invalid")
        case .invalidClient: self = .invalidClient("Client authentication failed")
        case .dropConnectionBefore: self.init(content: .failure(status: 500), delivery: .dropped)
        case .errorAfter, .hangAfter, .truncatedBody, .unparseable, .dropConnectionAfter: return nil
        }
    }

    /// What a fault that strikes after rotation does to the answer; nothing for one that strikes before.
    mutating func spoil(by kind: MockFault.Kind) {
        switch kind {
        case .errorAfter(let status): content = .failure(status: status)
        case .hangAfter(let duration): hold = duration
        case .truncatedBody: delivery = .truncated
        case .unparseable: content = .html
        case .dropConnectionAfter: delivery = .dropped
        case .errorBefore, .hangBefore, .throttle, .invalidGrant, .invalidClient, .dropConnectionBefore: break
        }
    }
}
