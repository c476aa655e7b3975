import CurlClient
import FoundationEssentials
import MockProvider
import PerennialServers

/// What a trial works with: its double, the instances, and ways of saying what was expected and what was seen.
struct Bench: Sendable {
    let trial: Trial
    let site: ConformanceSite
    let running: ConformanceSite.RunningDouble

    init(_ trial: Trial, site: ConformanceSite) throws {
        guard let running = site.doubles[trial.row.name] else {
            throw ServerFailure("no double for \(trial.row.name)")
        }
        (self.trial, self.site, self.running) = (trial, site, running)
    }

    var double: ProviderDouble { running.double }
    var fleet: Fleet { site.fleet }

    /// An account on both sides.
    struct Subject: Sendable {
        /// In Perennial.
        var id: String
        /// At the double.
        var account: String
        var grant: DoubleGrant
    }

    /// Something else than what was expected.
    struct Finding: Error, CustomStringConvertible {
        var description: String
    }

    // MARK: Accounts

    /// Grants an account at the double, tells the double what it is to meet, and puts it into Perennial without an
    /// access token, so that it is refreshed at once.
    ///
    /// - Parameter hasAccessToken: with one that is good for a while: then it is not refreshed.
    func admit(
        _ name: String = "a", _ order: DoubleOrder? = nil, times: Int = 1, hasAccessToken: Bool = false
    ) async throws -> Subject {
        let id = "\(trial.provider).\(name)"
        let account = trial.row.double.row == .clientCredentials ? trial.provider : id
        let grant = double.grant(account)
        if let order { try double.order(order, times: times, of: account) }
        let subject = Subject(id: id, account: account, grant: grant)
        try await put(subject, hasAccessToken: hasAccessToken)
        return subject
    }

    /// Puts a grant into Perennial.
    func put(_ subject: Subject, hasAccessToken: Bool = false) async throws {
        var body = AccountBody(provider: trial.provider)
        body.refreshToken = subject.grant.refreshToken
        body.credentials = trial.row.credentials(subject.grant)
        if hasAccessToken {
            body.accessToken = subject.grant.accessToken
            body.expiresAt = subject.grant.expiresAt.milliseconds / 1000
        }
        try await fleet.put(subject.id, body, through: trial.number)
    }

    // MARK: What the double saw

    /// Token requests that present what is an account's, oldest first.
    func uses(of subject: Subject) -> [DoubleUse] {
        double.ledger.filter { $0.phase == .token && $0.account == subject.account }
    }

    func words(_ uses: [DoubleUse]) -> String {
        uses.isEmpty ? "no request" : uses.map { "[\($0.outcome)]" }.joined(separator: ", ")
    }

    /// An account as Perennial has it, and what the double saw of it: for findings.
    func state(of subject: Subject) async -> String {
        let view = try? await fleet.account(subject.id, through: trial.number)
        var words =
            "\(view?.words ?? "an account that cannot be read"); the double saw \(self.words(uses(of: subject)))"
        let malformed = double.ledger.filter { if case .malformed = $0.outcome { $0.account == nil } else { false } }
        if let last = malformed.last {
            words += "; of \(malformed.count) requests of this row that were not proper ones, the last: \(last.outcome)"
        }
        return words
    }

    // MARK: Judging

    func expect(_ condition: Bool, _ expected: String, seen: String) throws {
        guard condition else { throw Finding(description: "expected \(expected), saw \(seen)") }
    }

    /// Waits until something holds.
    func eventually(
        _ expected: String, of subject: Subject, within limit: Duration = .seconds(60),
        _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while true {
            if try await condition() { return }
            guard ContinuousClock.now < deadline else {
                throw Finding(description: "expected \(expected) within \(limit), saw \(await state(of: subject))")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Waits for a generation and a healthy account.
    func waitForGeneration(
        _ generation: Int64, of subject: Subject, within limit: Duration = .seconds(60)
    ) async throws {
        try await eventually("an active account of generation \(generation)", of: subject, within: limit) {
            let view = try await fleet.account(subject.id, through: trial.number)
            return view.generation >= generation && view.status == "active"
        }
    }

    /// The token that every instance hands out is the one the double issued last, and fit for a header.
    func expectGoodToken(of subject: Subject) async throws {
        for number in 0..<fleet.instances.count {
            var reply = try await fleet.token(subject.id, through: number)
            // An instance may not have heard of the newest generation yet, and the one before is still good.
            let newest = try await fleet.account(subject.id, through: number).generation
            let deadline = ContinuousClock.now + .seconds(60)
            while let document = reply.document, document.generation < newest, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(50))
                reply = try await fleet.token(subject.id, through: number)
            }
            guard let document = reply.document else {
                throw Finding(
                    description: "expected a token from instance \(number + 1), saw \(reply.words); "
                        + (await state(of: subject)))
            }
            let issued = uses(of: subject).compactMap(\.issued?.accessToken)
            // Accounts that are one and the same client have tokens of their own, and the double cannot tell whose.
            let good = trial.row.double.row == .clientCredentials ? issued : issued.suffix(1)
            try expect(
                good.contains(TokenFingerprint(of: document.accessToken)),
                "the access token that the double issued last",
                seen: "another one")
            try expect(
                document.accessToken.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "a token of visible characters",
                seen: "one that would break out of a header")
            try expectCleanHeaders(reply)
        }
    }

    func expectCleanHeaders(_ reply: TokenReply) throws {
        let smuggled = reply.headers.first {
            $0.name.lowercased() == HostileAnswer.smuggledHeader.lowercased()
                || !$0.value.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
        }
        try expect(smuggled == nil, "headers made by Perennial only", seen: "the header \(smuggled?.name ?? "")")
    }

    /// How often an account was declared dead.
    func deaths(of subject: Subject) async throws -> Int {
        try await site.events.events(of: subject.id).count { $0.type == "account.reauthorization_required" }
    }

    /// The classes of the failures that were told of this trial's accounts, and of its provider.
    func failures() async throws -> [String] {
        try await site.events.events(ofProvider: trial.provider).compactMap { event in
            switch event.type {
            case "token.refresh_failed": event.cause ?? "none"
            case "provider.misconfigured": "misconfigured"
            default: nil
            }
        }
    }

    func expectNoDeath(of subject: Subject) async throws {
        let deaths = try await deaths(of: subject)
        try expect(
            deaths == 0, "no event account.reauthorization_required", seen: "\(deaths); \(await state(of: subject))")
    }

    func now() -> Int64 { Int64(Date().timeIntervalSince1970 * 1000) }
}
