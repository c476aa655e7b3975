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
        guard rotations[account.provider] == .singleUse else {
            return ("the provider would have answered once more (\(Self.text(last)))", false)
        }
        if case .fault(let name) = last.outcome {
            return ("the provider rotated and then failed as ordered (\(name)); it gives no grace", true)
        }
        let exchange = wires[account.provider]
            .filter { $0.token == last.fingerprint && $0.sentAt <= last.at.milliseconds + 100 }
            .max { $0.sentAt < $1.sentAt }
        guard let exchange else { return ("nothing is known of the wire (\(Self.text(last)))", false) }
        return cause(exchange, last)
    }

    private func cause(_ exchange: WireExchange, _ use: MockTokenUse) -> (String, Bool) {
        let instance = exchange.instance
        let end = exchange.answeredAt ?? exchange.endedAt ?? use.at.milliseconds
        func during(_ kinds: Set<FaultKind>, grace: Int64) -> FaultKind? {
            timeline.touching(kinds, instance: instance, from: exchange.sentAt, to: end + grace).first?.kind
        }
        // Reading, sealing and syncing the answer takes a moment, on a busy machine a long one.
        if let kill = during(FaultKind.kills, grace: 300) {
            return ("instance \(instance) died between sending and journal (\(kill.rawValue)); no grace", true)
        }
        if let wire = during(FaultKind.ofTheWire, grace: 100) {
            return ("the answer was lost between provider and instance \(instance) (\(wire.rawValue)); no grace", true)
        }
        if let pause = during(FaultKind.pauses, grace: 300) {
            return ("instance \(instance) was stopped during the exchange (\(pause.rawValue))", false)
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

    private static func text(_ use: MockTokenUse) -> String { "\(use.outcome) at \(use.at.milliseconds)" }
}
