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
///
/// The wires know who sent which refresh token when; the ledger, what the provider did about it; the timeline, what was
/// done to whom meanwhile. What matters is the refresh token whose second use was taken for theft, or else the newest that was
/// sent: the answers to all before it arrived.
struct LossFinder: Sendable {
    var rotations: [Rotation]
    var wires: [[WireExchange]]
    var timeline: [Timeline.Entry]
    /// Re-sends that were announced, by account and generation.
    var recoveries: [LogScan.Recovery: Int]

    /// Faults of the provider that strike when it has rotated already.
    private static let afterRotation: Set<String> = [
        "error-after", "hang-after", "truncated", "unparseable", "drop-after",
    ]
    /// Faults whose answer says for certain that the token has not been looked at.
    private static let unread: Set<String> = ["throttle", "invalid-client"]

    /// One refresh token on its way, and what the provider did when it arrived.
    private struct Spend {
        var exchange: WireExchange
        /// Nil: it has not arrived.
        var use: MockTokenUse?

        var hasRotated: Bool {
            switch use?.outcome {
            case .rotated?, .graceReplay?: true
            case .fault(let name)?: LossFinder.afterRotation.contains(name)
            default: false
            }
        }

        /// Whether it might have brought tokens, as far as its sender knows.
        var isOpen: Bool {
            switch use?.outcome {
            case .reuse?, .refused?: false
            case .fault(let name)?: !LossFinder.unread.contains(name)
            default: true
            }
        }
    }

    /// - Parameters:
    ///   - uses: of the account's refresh tokens, oldest first.
    ///   - now: what a reader gets.
    func find(_ account: ChaosAccount, uses: [MockTokenUse], now: String) -> Loss {
        let (cause, isExplained) = cause(account, uses: uses)
        return Loss(account: account.id, now: now, cause: cause, isExplained: isExplained)
    }

    private func cause(_ account: ChaosAccount, uses: [MockTokenUse]) -> (String, Bool) {
        guard let family = uses.lazy.compactMap(\.family).first else {
            return ("no refresh token of it has ever reached the provider", false)
        }
        let exchanges = wires[account.provider].filter { $0.family == family }.sorted { $0.sentAt < $1.sentAt }
        let all = pair(exchanges, with: uses)
        // The second use of a spent token is what takes everything away: later ones are refused because of it.
        let reused = all.first { $0.use?.outcome == .reuse }
        guard let place = reused?.exchange.place ?? exchanges.map(\.place).max() else {
            return ("no refresh token of it was seen on the wire", false)
        }
        let sent = all.filter { $0.exchange.place == place }
        let spends = sent.filter(\.isOpen)
        guard let first = spends.first else {
            return ("its newest refresh token was sent, and refused at once: \(Self.text(sent.first))", false)
        }
        // Generations count from 1.
        let isResent = recoveries[.init(account: account.id, generation: place + 1), default: 0] > 0

        var causes: [String] = []
        for spend in spends {
            let (cause, isExplained) = cause(of: spend, next: sent.first { $0.exchange.sentAt > spend.exchange.sentAt })
            guard isExplained else { return (cause, false) }
            causes.append(cause)
        }
        let cause = causes.joined(separator: ", and of the re-send: ")
        // Whoever repeats nothing has taken the token away with the first answer.
        if rotations[account.provider] == .singleUse, first.hasRotated { return (causes[0], true) }
        // Otherwise the one re-send could have saved it, so that its answer too must have been lost. The first may
        // have been stopped before it was sent.
        return (cause, isResent)
    }

    /// What the provider did about each exchange: the first use of the same token that nothing else was answered with,
    /// before the token was sent again.
    private func pair(_ exchanges: [WireExchange], with uses: [MockTokenUse]) -> [Spend] {
        exchanges.map { exchange in
            let next = exchanges.first { $0.token == exchange.token && $0.sentAt > exchange.sentAt }?.sentAt ?? .max
            let use = uses.first {
                // Both are milliseconds of one clock, each rounded by itself.
                $0.fingerprint == exchange.token && $0.at.milliseconds >= exchange.sentAt - 1
                    && $0.at.milliseconds < next
            }
            return Spend(exchange: exchange, use: use)
        }
    }

    /// What became of the answer to one spend.
    ///
    /// - Parameter next: the next time that the same refresh token was sent.
    private func cause(of spend: Spend, next: Spend?) -> (String, Bool) {
        if case .fault(let name)? = spend.use?.outcome {
            return ("the provider failed as ordered (\(name))", true)
        }
        let exchange = spend.exchange
        let instance = exchange.instance
        let end = exchange.answeredAt ?? exchange.endedAt ?? spend.use?.at.milliseconds ?? exchange.sentAt
        func during(_ kinds: Set<FaultKind>, grace: Int64) -> FaultKind? {
            timeline.touching(kinds, instance: instance, from: exchange.sentAt, to: end + grace).first?.kind
        }
        let pauses = timeline.touching(
            FaultKind.pauses, instance: instance, from: exchange.sentAt, to: end + 300)
        // Reading, sealing and syncing the answer takes a moment, on a busy machine a long one; one that was stopped
        // meanwhile had not come to it.
        let stoppedUntil = pauses.map { $0.to ?? .max }.max() ?? end
        let kills = timeline.touching(
            FaultKind.kills, instance: instance, from: exchange.sentAt, to: max(stoppedUntil, end + 300))
        if let kill = kills.first {
            return ("instance \(instance) died between sending and journal (\(kill.kind.rawValue))", true)
        }
        if let wire = during(FaultKind.ofTheWire, grace: 100) {
            return ("the answer was lost between provider and instance \(instance) (\(wire.rawValue))", true)
        }
        if let pause = pauses.first {
            // The re-send that is made shortly before the token ends cannot know that the answer waits in a socket.
            let isOvertaken = next.map { $0.exchange.sentAt < (pause.to ?? .max) + 1000 } ?? false
            return (
                "instance \(instance) was stopped during the exchange (\(pause.kind.rawValue))"
                    + (isOvertaken ? " until the token had ended and was sent once more" : ""), isOvertaken
            )
        }
        if exchange.answeredAt == nil {
            return ("the answer has not reached instance \(instance), and nothing had been done to it", false)
        }
        // Its journal has the answer, and there is no way to the others: the last chance before the token ends is
        // theirs, after a head start of 3 s for an origin that comes back (RefreshMachine).
        if let next, next.exchange.instance != instance {
            let cutOff = timeline.touching(
                FaultKind.ofTheWireToRedis.union(FaultKind.pauses).union(FaultKind.kills), instance: instance,
                from: exchange.sentAt, to: next.exchange.sentAt
            ).last { ($0.to ?? .max) > next.exchange.sentAt - 3000 }
            if let cutOff {
                return (
                    "instance \(instance) alone was cut off with the answer (\(cutOff.kind.rawValue)) until the token had "
                        + "ended and was sent once more", true
                )
            }
        }
        let redis = timeline.touching(
            [.redisPowerCut, .redisKill, .primaryKill, .primaryPause, .failover, .reshard, .clockRedis], instance: nil,
            from: exchange.sentAt - 5000, to: end + 5000
        ).first
        if let redis {
            return ("instance \(instance) got the answer; Redis was harmed (\(redis.kind.rawValue))", false)
        }
        return ("instance \(instance) got the answer, and nothing had been done to it (\(Self.text(spend)))", false)
    }

    private static func text(_ spend: Spend?) -> String {
        guard let spend else { return "nothing" }
        return "\(spend.use.map { "\($0.outcome)" } ?? "not arrived") at \(spend.exchange.sentAt)"
    }
}
