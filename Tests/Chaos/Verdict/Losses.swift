import MockProvider

/// An account that has no usable token at the end, and why.
struct Loss: Sendable, Codable {
    var account: String
    /// What a reader gets at the end.
    var now: String
    var cause: String
    /// Whether the cause is one that no client could have survived (docs/safety.md); another is a violation.
    var isExplained: Bool
}

/// Finds out what became of the answer that an account lacks.
struct LossFinder: Sendable {
    var rotations: [Rotation]
    var wires: [[WireExchange]]
    var timeline: [Timeline.Entry]
    /// Refresh tokens that were sent again as an announced recovery.
    var resends: Set<TokenFingerprint>

    /// Faults of the provider that strike when it has rotated already.
    private static let afterRotation: Set<String> = [
        "error-after", "hang-after", "truncated", "unparseable", "drop-after",
    ]

    /// - Parameters:
    ///   - uses: of the account's refresh tokens, oldest first.
    ///   - now: what a reader gets.
    func find(_ account: ChaosAccount, uses: [MockTokenUse], now: String) -> Loss {
        let (cause, isExplained) = cause(account, uses: uses)
        return Loss(account: account.id, now: now, cause: cause, isExplained: isExplained)
    }

    private func cause(_ account: ChaosAccount, uses: [MockTokenUse]) -> (String, Bool) {
        guard let last = uses.last(where: Self.hasRotated) else {
            return ("the provider has never rotated its token", false)
        }
        // The token that was spent for the answer that is missing, and how often it was sent.
        let spends = uses.filter { $0.fingerprint == last.fingerprint && Self.isSpend($0) }
        var causes: [String] = []
        for spend in spends {
            let (cause, isExplained) = cause(of: spend, account)
            guard isExplained else { return (cause, false) }
            causes.append(cause)
        }
        guard rotations[account.provider] == .grace else { return (causes.first ?? "", true) }
        // With grace one re-send is made, so that two answers must have been lost.
        return (causes.joined(separator: ", and of the re-send: "), causes.count > 1)
    }

    /// What became of the answer to one spend.
    private func cause(of spend: MockTokenUse, _ account: ChaosAccount) -> (String, Bool) {
        if case .fault(let name) = spend.outcome {
            return ("the provider failed as ordered (\(name))", true)
        }
        let exchange = wires[account.provider]
            .filter { $0.token == spend.fingerprint && $0.sentAt <= spend.at.milliseconds + 100 }
            .max { $0.sentAt < $1.sentAt }
        guard let exchange else { return ("nothing is known of the wire (\(Self.text(spend)))", false) }
        return cause(exchange, spend)
    }

    private func cause(_ exchange: WireExchange, _ use: MockTokenUse) -> (String, Bool) {
        let instance = exchange.instance
        let end = exchange.answeredAt ?? exchange.endedAt ?? use.at.milliseconds
        func during(_ kinds: Set<FaultKind>, grace: Int64) -> FaultKind? {
            timeline.touching(kinds, instance: instance, from: exchange.sentAt, to: end + grace).first?.kind
        }
        // Reading, sealing and syncing the answer takes a moment, on a busy machine a long one.
        if let kill = during(FaultKind.kills, grace: 300) {
            return ("instance \(instance) died between sending and journal (\(kill.rawValue))", true)
        }
        if let wire = during(FaultKind.ofTheWire, grace: 100) {
            return ("the answer was lost between provider and instance \(instance) (\(wire.rawValue))", true)
        }
        if let pause = during(FaultKind.pauses, grace: 300) {
            // The re-send that is made shortly before the token ends cannot know that the answer waits in a socket.
            let isOvertaken = resends.contains(use.fingerprint)
            return (
                "instance \(instance) was stopped during the exchange (\(pause.rawValue))"
                    + (isOvertaken ? " until the token had ended and was sent once more" : ""), isOvertaken
            )
        }
        if exchange.answeredAt == nil {
            return ("the answer has not reached instance \(instance), and nothing had been done to it", false)
        }
        let redis = timeline.touching(
            [.redisPowerCut, .redisKill, .primaryKill, .primaryPause, .failover, .reshard, .clockRedis], instance: nil,
            from: exchange.sentAt - 5000, to: end + 5000
        ).first
        if let redis {
            return ("instance \(instance) got the answer; Redis was harmed (\(redis.kind.rawValue))", false)
        }
        return ("instance \(instance) got the answer, and nothing had been done to it (\(Self.text(use)))", false)
    }

    private static func hasRotated(_ use: MockTokenUse) -> Bool {
        switch use.outcome {
        case .rotated: true
        case .fault(let name): afterRotation.contains(name)
        default: false
        }
    }

    /// Whether tokens might have come of it.
    private static func isSpend(_ use: MockTokenUse) -> Bool {
        switch use.outcome {
        case .rotated, .graceReplay: true
        case .fault(let name): !["throttle", "invalid-client"].contains(name)
        default: false
        }
    }

    private static func text(_ use: MockTokenUse) -> String { "\(use.outcome) at \(use.at.milliseconds)" }
}
