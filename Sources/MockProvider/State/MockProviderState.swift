/// The provider itself: grants, rotation, reuse detection, faults and ledger, without HTTP and without a clock.
///
/// A value: whoever holds it serialises access and says what time it is. Given the same configuration and the same
/// calls it behaves the same, so a simulator can drive it as well as a server.
public struct MockProviderState: Sendable {
    let configuration: MockProviderConfiguration
    private let codec: MockTokenCodec
    private let grace: Duration?
    private var plan: MockFaultPlan

    private var accountIDs: [String] = []
    private var familiesOfAccount: [String: [UInt32]] = [:]
    private var families: [MockFamily] = []
    var authorization: MockAuthorization
    /// The family of the client credentials grant, once there is one.
    private var clientFamily: UInt32?

    private var book: LedgerBook

    public init(configuration: MockProviderConfiguration) {
        self.configuration = configuration
        codec = MockTokenCodec(seed: configuration.seed)
        authorization = MockAuthorization(seed: configuration.seed)
        plan = MockFaultPlan(faults: configuration.faults, seed: configuration.seed ^ 0x5DEE_CE66_D1CE_B00C)
        book = LedgerBook(capacity: configuration.ledgerCapacity)
        if case .grace(let duration) = configuration.rotation { grace = duration } else { grace = nil }
    }

    // MARK: Accounts

    /// Grants `count` accounts a fresh chain each, with ids `prefix` and a number from `first` on. An id that exists
    /// already gets one more chain, as if its owner had authorised again; its older chains go on.
    ///
    /// - Parameter lifetime: lifetime of the first access token, the configured one if nil; negative for one that has
    ///   expired already.
    public mutating func seedAccounts(
        count: Int, prefix: String = "acct-", first: Int = 1, lifetime: Duration? = nil, at now: MockInstant
    ) -> [MockAccount] {
        let expiresAt = now.advanced(by: lifetime ?? configuration.accessTokenLifetime)
        guard count > 0 else { return [] }
        return (0..<count).map { offset in
            let id = "\(prefix)\(first + offset)"
            let family = grant(to: id, expiresAt: expiresAt)
            return MockAccount(
                id: id,
                refreshToken: refreshToken(of: family),
                accessToken: accessToken(of: family),
                expiresAt: expiresAt)
        }
    }

    /// Revokes every chain of an account, access tokens included.
    ///
    /// - Returns: how many chains it revoked, nil for an unknown account.
    public mutating func revoke(account: String) -> Int? {
        guard let owned = familiesOfAccount[account] else { return nil }
        let alive = owned.filter { !families[Int($0)].isRevoked }
        for family in alive {
            families[Int(family)].isRevoked = true
        }
        book.totals.familiesRevokedByAdmin += alive.count
        return alive.count
    }

    /// The faults in force; counted ones with what is left of them.
    public var faults: [MockFault] { plan.faults }

    public mutating func setFaults(_ faults: [MockFault]) {
        plan.replace(with: faults)
    }

    // MARK: The token endpoint

    /// Processes a token request. All effects happen here, at `now`; how long the answer is held back and whether it
    /// arrives is part of the answer.
    public mutating func token(_ request: MockTokenRequest, at now: MockInstant) -> MockTokenAnswer {
        book.totals.tokenRequests += 1
        var presented: MockTokenCodec.Refresh?
        if case .refreshToken(let text) = request.grant {
            presented = codec.refresh(text).flatMap { $0.family < UInt32(families.count) ? $0 : nil }
        }
        if let token = presented { book.countUse(of: token, in: &families[Int(token.family)]) }

        let owner = presented.map { families[Int($0.family)].account }
        let picked = plan.pick(account: owner.map { accountIDs[Int($0)] })
        let kind = picked.map { plan.faults[$0].kind }
        var answer: MockTokenAnswer
        if let picked, let kind, let failure = MockTokenAnswer(faultBefore: kind) {
            strike(picked)
            record(request, presented, .fault(kind), result: nil, at: now)
            answer = failure
        } else {
            let result: UseRing.Outcome
            (answer, result) = process(request, presented, at: now)
            // A refusal goes out as it is: nothing was rotated that could be lost.
            if let picked, let kind, case .issued = answer.content {
                strike(picked)
                record(request, presented, .fault(kind), result: result, at: now)
                answer.spoil(by: kind)
            } else {
                record(request, presented, result, result: result, at: now)
            }
        }
        let jitter = plan.jitter(upTo: configuration.latencyJitter.wholeMilliseconds)
        answer.hold += configuration.latency + .milliseconds(jitter)
        return answer
    }

    private mutating func process(
        _ request: MockTokenRequest, _ presented: MockTokenCodec.Refresh?, at now: MockInstant
    ) -> (MockTokenAnswer, UseRing.Outcome) {
        guard isAuthentic(request.client) else {
            book.totals.refused += 1
            return (.invalidClient("Client authentication failed"), .refused)
        }
        if let answer = redeem(request.grant, client: request.client?.id, at: now) { return (answer, .reusedAllowed) }
        let expiresAt = now.advanced(by: configuration.accessTokenLifetime)
        if case .clientCredentials = request.grant {
            let family = clientFamily ?? grant(to: configuration.clientID ?? "client", expiresAt: expiresAt)
            clientFamily = family
            families[Int(family)].renewAccess(expiresAt: expiresAt)
            book.totals.clientCredentials += 1
            return (issue(family, withRefreshToken: false, at: now), .reusedAllowed)
        }
        guard let presented, !isClientFamily(presented.family) else {
            book.totals.refused += 1
            return (.invalidGrant("Refresh token not found or invalid"), .refused)
        }
        let index = Int(presented.family)
        let judgement = families[index].judge(generation: presented.generation, grace: grace, at: now)
        if judgement == .reuse {
            if configuration.reuseDetection, !families[index].isRevoked {
                families[index].isRevoked = true
                book.totals.familiesRevoked += 1
            }
            return (.invalidGrant("Refresh token has already been used"), .reuse)
        }
        guard judgement != .unknown, !families[index].isRevoked else {
            book.totals.refused += 1
            let reason = judgement == .unknown ? "not found or invalid" : "has been revoked"
            return (.invalidGrant("Refresh token \(reason)"), .refused)
        }
        if judgement == .graceReplay {
            book.totals.graceReplays += 1
            return (issue(presented.family, at: now), .graceReplay)
        }
        book.totals.refreshes += 1
        if configuration.rotation == .reusable {
            families[index].renewAccess(expiresAt: expiresAt)
            return (
                issue(presented.family, withRefreshToken: !configuration.omitRefreshToken, at: now), .reusedAllowed
            )
        }
        book.keepCountOfPrevious(in: families[index], number: presented.family)
        families[index].rotate(expiresAt: expiresAt, at: now)
        return (issue(presented.family, at: now), .rotated)
    }

    private func isAuthentic(_ client: MockTokenRequest.Client?) -> Bool {
        guard let id = configuration.clientID else { return true }
        guard let client, client.id == id else { return false }
        guard let secret = configuration.clientSecret else { return true }
        return client.secret == secret
    }

    // MARK: The resource

    /// Judges an access token as a protected resource does.
    public mutating func resource(bearer token: Substring?, at now: MockInstant) -> MockResourceAnswer {
        guard let token else {
            book.totals.resourceInvalid += 1
            return .missing
        }
        guard let access = codec.access(token), access.family < UInt32(families.count),
            access.serial <= families[Int(access.family)].accessSerial, !families[Int(access.family)].isRevoked
        else {
            book.totals.resourceInvalid += 1
            return .invalid
        }
        guard now < access.expiresAt else {
            book.totals.resourceExpired += 1
            return .expired
        }
        book.totals.resourceOK += 1
        return .ok(account: accountIDs[Int(families[Int(access.family)].account)])
    }

    // MARK: The ledger

    /// The totals alone; cheap.
    public var totals: MockTotals { book.totals }

    /// Totals and details. Costs time and memory in proportion to the details asked for.
    ///
    /// - Parameters:
    ///   - after: only uses with a higher sequence number.
    ///   - limit: at most this many uses, oldest first.
    public func ledger(after: Int = 0, limit: Int = .max) -> MockLedger {
        var uses: [MockTokenUse] = []
        book.ring.forEach(after: after, limit: limit) { sequence, record in
            let family = record.family < 0 ? nil : Int(record.family)
            uses.append(
                MockTokenUse(
                    sequence: sequence,
                    fingerprint: TokenFingerprint(bits: record.fingerprint),
                    account: family.map { accountIDs[Int(families[$0].account)] },
                    family: family,
                    at: MockInstant(milliseconds: record.at),
                    outcome: record.outcome.expanded,
                    isDuplicateSpend: record.isDuplicateSpend))
        }
        return MockLedger(totals: book.totals, uses: uses)
    }
}

// MARK: - Tokens

extension MockProviderState {
    /// Starts a chain for an account and answers its family.
    mutating func grant(to id: String, expiresAt: MockInstant) -> UInt32 {
        let account: Int32
        let family = UInt32(families.count)
        if let owned = familiesOfAccount[id], let any = owned.first {
            account = families[Int(any)].account
        } else {
            account = Int32(accountIDs.count)
            accountIDs.append(id)
            book.totals.accounts += 1
        }
        familiesOfAccount[id, default: []].append(family)
        families.append(MockFamily(account: account, accessExpiresAt: expiresAt))
        return family
    }

    private func refreshToken(of family: UInt32) -> String {
        codec.text(MockTokenCodec.Refresh(family: family, generation: families[Int(family)].generation))
    }

    private func accessToken(of family: UInt32) -> String {
        let state = families[Int(family)]
        return codec.text(
            MockTokenCodec.Access(family: family, serial: state.accessSerial, expiresAt: state.accessExpiresAt))
    }

    mutating func revokeFamily(_ family: Int) {
        guard !families[family].isRevoked else { return }
        families[family].isRevoked = true
        book.totals.familiesRevoked += 1
    }

    private func isClientFamily(_ family: UInt32) -> Bool {
        clientFamily == family
    }

    /// The pair issued last, which in a grace replay is the one that was issued before.
    func issue(_ family: UInt32, withRefreshToken: Bool = true, at now: MockInstant) -> MockTokenAnswer {
        MockTokenAnswer(
            content: .issued(
                MockTokenAnswer.Issued(
                    accessToken: accessToken(of: family),
                    refreshToken: withRefreshToken ? refreshToken(of: family) : nil,
                    expiresIn: families[Int(family)].accessExpiresAt.wholeSeconds(since: now))))
    }
}

// MARK: - Bookkeeping

extension MockProviderState {
    /// Uses up and counts a fault.
    private mutating func strike(_ index: Int) {
        book.count(plan.faults[index].kind)
        plan.spend(index)
    }

    /// Enters a use of a refresh token into the ledger.
    ///
    /// - Parameter result: what processing came to; nil where a fault struck before there was any.
    private mutating func record(
        _ request: MockTokenRequest, _ presented: MockTokenCodec.Refresh?, _ outcome: UseRing.Outcome,
        result: UseRing.Outcome?, at now: MockInstant
    ) {
        guard let fingerprint = request.fingerprint else { return }
        var isDuplicate = result == .reuse
        if let presented, result == nil || result == .refused {
            // Not looked at, but sent all the same: judge it as the provider would have.
            let family = families[Int(presented.family)]
            isDuplicate = family.judge(generation: presented.generation, grace: grace, at: now) == .reuse
        }
        book.enter(
            fingerprint, family: presented?.family, outcome: outcome, isDuplicateSpend: isDuplicate, at: now)
    }
}
