import FoundationEssentials
import MockProvider

extension Bench {
    /// A final error is asked for once, said once, and lasts until there are new credentials.
    func finalErrorEndsOnce(_ fault: String) async throws {
        let subject = try await admit("a", .fault(fault), times: .max)
        for number in 0..<fleet.instances.count {
            try await eventually("reauth_required", of: subject) {
                try await fleet.account(subject.id, through: number).status == "reauth_required"
            }
        }
        for number in 0..<(2 * fleet.instances.count) {
            let read = try await fleet.token(subject.id, through: number)
            try expect(read.status == 424, "HTTP 424 to whoever asks for a token", seen: read.words)
            try expectCleanHeaders(read)
            // As a caller whose token was refused, and as an operator.
            for generation in [1, nil] as [Int64?] {
                let reply = try await fleet.refresh(subject.id, ifGeneration: generation, through: number)
                try expect(reply.status == 424, "HTTP 424 to whoever asks for a refresh", seen: reply.words)
            }
        }
        try await Task.sleep(for: .seconds(2))
        let uses = uses(of: subject)
        try expect(uses.count == 1, "the dead credentials to be sent once", seen: words(uses))
        let deaths = try await deaths(of: subject)
        try expect(deaths == 1, "one event account.reauthorization_required", seen: "\(deaths)")
        try await revive(subject)
    }

    /// A new log-in.
    private func revive(_ subject: Subject) async throws {
        double.heal(subject.account)
        var subject = subject
        subject.grant = double.grant(subject.account)
        try await put(subject)
        try await waitForGeneration(3, of: subject)
        try await expectGoodToken(of: subject)
    }

    /// A passing error is tried again without anybody asking, and the account is as good as before.
    func transientErrorPasses(_ fault: String) async throws {
        // A refresh token that may be used once is sent again once; others as often as it takes.
        let times = trial.row.rotation == .singleUse ? 1 : 2
        let subject = try await admit("a", .fault(fault), times: times)
        try await waitForGeneration(2, of: subject)
        let uses = uses(of: subject)
        let expected = Array(repeating: DoubleUse.Outcome.ordered(fault), count: times) + [.served]
        try expect(uses.map(\.outcome) == expected, "\(times) failures and one success", seen: words(uses))
        let told = try await failures()
        try expect(told.count <= 1, "at most one event of a failure", seen: told.joined(separator: ", "))
        try expect(
            !told.contains { $0 == "throttled" || $0 == "misconfigured" }, "nothing to be said of the provider",
            seen: told.joined(separator: ", "))
        try await expectNoDeath(of: subject)
        try await expectGoodToken(of: subject)
    }

    // MARK: Throttling

    static let pauses: [DoubleOrder.RetryAfter] = [.seconds(8), .date(inSeconds: 8)]

    /// After one 429 nobody asks the provider for anything before the time it named, whatever the account and the
    /// instance; then all goes on.
    func throttlePauses(_ pause: DoubleOrder.RetryAfter) async throws {
        let first = try await admit("a", .throttle(pause))
        try await eventually("an account that says throttled", of: first, within: .seconds(30)) {
            try await fleet.account(first.id, through: trial.number).lastFault?.kind == "throttled"
        }
        guard let throttledAt = uses(of: first).first?.at.milliseconds else {
            throw Finding(description: "expected a request, saw \(await state(of: first))")
        }
        let second = try await admit("b")
        for number in 0..<fleet.instances.count {
            let reply = try await fleet.token(second.id, through: number)
            try expect(
                reply.status == 503 && Int(reply.retryAfter ?? "") != nil,
                "HTTP 503 with Retry-After for another account of the provider, from instance \(number + 1)",
                seen: reply.words + "; \(await state(of: second))")
        }
        try expect(
            now() < throttledAt + pause.milliseconds, "all this within the pause",
            seen: "a machine that is too slow: \(now() - throttledAt) ms have passed")
        for subject in [first, second] {
            let status = try await fleet.account(subject.id, through: trial.number).status
            try expect(["active", "degraded"].contains(status), "no account to be blamed", seen: status)
        }
        try await waitForGeneration(2, of: first)
        try await waitForGeneration(2, of: second)
        let later = (uses(of: first) + uses(of: second)).filter { $0.at.milliseconds > throttledAt }
        let waited = (later.map(\.at.milliseconds).min() ?? 0) - throttledAt
        // A date has whole seconds.
        let slack: Int64 = if case .date = pause { 1000 } else { 0 }
        try expect(
            waited >= pause.milliseconds - slack, "no request for \(pause.milliseconds) ms",
            seen: "one after \(waited) ms")
        try expect(
            later.allSatisfy { $0.outcome == .served }, "every later request to be served", seen: words(later))
        for subject in [first, second] {
            try await expectNoDeath(of: subject)
            try await expectGoodToken(of: subject)
        }
    }

    // MARK: Misconfiguration

    /// The client or the address is wrong: accounts live, good tokens are served, and when it is put right all goes on.
    func misconfigurationHarmsNoAccount(_ fault: String) async throws {
        let subject = try await admit("a", .fault(fault), times: .max)
        try await survive(subject) { double.heal(subject.account) }
    }

    /// As before, with a client that the double really does not take.
    func foreignClientHarmsNoAccount() async throws {
        let account = "\(trial.provider).a"
        // Where there are secrets, it is the secret that is wrong.
        if let secret = trial.row.double.clientSecret { double.register(client: trial.clientID, secret: secret) }
        let subject = try await admit("a")
        try expect(subject.id == account, "the account \(account)", seen: subject.id)
        try await survive(subject) {
            double.register(
                client: trial.clientID,
                secret: trial.row.double.clientSecret == nil ? nil : ProviderSettings.wrongSecret)
        }
    }

    private func survive(_ subject: Subject, untilHealedBy heal: () -> Void) async throws {
        try await eventually("an account that says misconfigured", of: subject, within: .seconds(30)) {
            try await fleet.account(subject.id, through: trial.number).lastFault?.kind == "misconfigured"
        }
        if trial.row.rotation != .none {
            let other = try await admit("b", hasAccessToken: true)
            for number in 0..<fleet.instances.count {
                let reply = try await fleet.token(other.id, through: number)
                try expect(
                    reply.document?.accessToken == other.grant.accessToken,
                    "another account's good token from instance \(number + 1)", seen: reply.words)
            }
        }
        try await Task.sleep(for: .seconds(1))
        let view = try await fleet.account(subject.id, through: trial.number)
        try expect(["active", "degraded"].contains(view.status), "an account that lives", seen: view.words)
        heal()
        try await waitForGeneration(2, of: subject)
        let told = try await failures()
        try expect(told == ["misconfigured"], "one event provider.misconfigured", seen: told.joined(separator: ", "))
        try await expectNoDeath(of: subject)
        try await expectGoodToken(of: subject)
    }

    // MARK: Hostile answers

    /// An answer that makes no sense costs a try and nothing else; one with good tokens in it is taken.
    func hostileAnswerIsClassed(_ answer: HostileAnswer) async throws {
        let subject = try await admit("a", .hostile(answer))
        try await waitForGeneration(2, of: subject)
        let uses = uses(of: subject)
        try expect(
            uses.count == (answer.isServed ? 1 : 2),
            answer.isServed ? "the tokens to be taken" : "the request to be sent a second time", seen: words(uses))
        let classes = try await failures()
        let expected = answer.isServed ? [] : [answer == .redirect ? "misconfigured" : "ambiguous"]
        try expect(
            classes == expected, expected.first.map { "one failure, of the class \($0)" } ?? "no failure",
            seen: classes.isEmpty ? "none" : classes.joined(separator: ", "))
        try await expectNoDeath(of: subject)
        try await expectGoodToken(of: subject)
        guard let document = try await fleet.token(subject.id, through: trial.number).document,
            let end = Self.milliseconds(document.expiresAt)
        else { throw Finding(description: "expected a token with an end, saw \(await state(of: subject))") }
        let life = end - now()
        try expect(
            life > 0 && life < 11 * 366 * 86_400_000, "an end that is neither past nor further away than ten years",
            seen: document.expiresAt)
    }
}

extension DoubleOrder.RetryAfter {
    var milliseconds: Int64 {
        switch self {
        case .seconds(let seconds), .date(inSeconds: let seconds): seconds * 1000
        }
    }

    var words: String {
        switch self {
        case .seconds: "Retry-After in seconds"
        case .date: "Retry-After as a date"
        }
    }
}
