import RefreshCore

// The scripts of the store as the oracle watches them, and the provider's side of the wire.
extension Simulation {
    /// Runs a script and passes on what it publishes.
    func execute<Reply>(on node: Int, _ script: (Simulation) -> Reply) -> (reply: Reply, hasWritten: Bool) {
        let before = redis.nodes[node].state.writes
        let reply = script(self)
        let hasWritten = redis.nodes[node].state.writes != before
        if hasWritten { redis.wrote(to: node, at: now) }
        let published = redis.nodes[node].state.outbox
        if !published.isEmpty {
            redis.nodes[node].state.outbox.removeAll(keepingCapacity: true)
            for signal in published { publish(signal, from: node) }
        }
        return (reply, hasWritten)
    }

    private func publish(_ signal: FleetSignal, from node: Int) {
        for process in processes where process.isUp && process.connection?.node == node && !process.isCutOff {
            let serial = process.connectionSerial
            process.after(latency()) { if process.connectionSerial == serial { process.received(signal) } }
        }
    }

    private func watch<Reply>(_ account: AccountID, on node: Int, _ script: (inout ModelState) -> Reply) -> Reply {
        let reply = script(&redis.nodes[node].state)
        // What an isolated server does is undone when it comes back.
        if node == redis.primary, let record = redis.nodes[node].state.records[account] {
            oracle.looked(at: record)
        }
        return reply
    }

    private func lock(_ account: AccountID, on node: Int) -> AttemptID? {
        redis.nodes[node].state.liveLock(account, now: serverWall)?.attempt
    }

    func begin(_ node: Int, _ request: BeginRequest) -> BeginReply {
        let wall = serverWall
        // One that lives longer than a lock can was set by a clock that has been set back since: its time is over.
        let live = redis.nodes[node].state.liveLock(request.account, now: wall)
        let before = live.flatMap { $0.until - wall <= request.lockTTL + .seconds(5) ? $0.attempt : nil }
        let reply = watch(request.account, on: node) { $0.begin(request, now: wall) }
        oracle.began(request.account, reply, attempt: request.attempt, lockBefore: before, now: now)
        return reply
    }

    func commit(_ node: Int, _ request: CommitRequest) -> CommitReply {
        let before = lock(request.account, on: node)
        let wall = serverWall
        let reply = watch(request.account, on: node) { $0.commit(request, now: wall) }
        oracle.released(
            request.account, by: request.attempt, lockBefore: before, lockAfter: lock(request.account, on: node))
        if reply == .orphaned, let record = redis.nodes[node].state.records[request.account], !record.isRemoved,
            record.snapshot.generation == request.generation
        {
            oracle.fail(
                .noLoss,
                "\(request.account): COMMIT of \(request.attempt) refused though generation \(request.generation) stands"
            )
        }
        return reply
    }

    func settle(_ node: Int, _ request: SettleRequest) -> SettleReply {
        let before = lock(request.account, on: node)
        let wall = serverWall
        let wasDead = redis.nodes[node].state.account(request.account)?.status == .reauthRequired
        let reply = watch(request.account, on: node) { $0.settle(request, now: wall) }
        oracle.released(
            request.account, by: request.attempt, lockBefore: before, lockAfter: lock(request.account, on: node))
        if !wasDead, node == redis.primary, let record = redis.nodes[node].state.records[request.account],
            !record.isRemoved, record.snapshot.status == .reauthRequired
        {
            oracle.declaredDead(
                record, by: request, orphans: redis.nodes[node].state.orphans[request.account]?.count ?? 0,
                journals: processes.map(\.journal))
        }
        return reply
    }

    @discardableResult
    func put(_ put: AccountPut, on node: Int) -> PutReply? {
        let wall = serverWall
        let expected = redis.nodes[node].state.storedGeneration(put.id)
        return watch(put.id, on: node) { $0.put(put, expected: expected, now: wall) }
    }

    @discardableResult
    func edit(_ account: AccountID, _ edit: AccountEdit, on node: Int) -> EditReply {
        let wall = serverWall
        return watch(account, on: node) { $0.edit(account, edit, now: wall) }
    }

    @discardableResult
    func remove(_ account: AccountID, on node: Int) -> EditReply {
        let wall = serverWall
        return watch(account, on: node) { $0.remove(account, ifGeneration: nil, now: wall) }
    }

    // MARK: The provider

    /// A refresh token leaves a process.
    ///
    /// - Parameter done: called in the world outside when the answer leaves the provider, with its status, its number
    ///   and the time it takes; no status for none.
    func send(
        _ claim: RefreshClaim, from process: SimulatedProcess, begunAt: TrueTime,
        _ done: @escaping (Int?, Int, TrueTime) -> Void
    ) {
        let account = claim.account.id
        let token = claim.refreshToken.reveal()
        log(
            "\(process.name) \(account) sends the refresh token of generation \(claim.generation)\(claim.isRecovery ? " once more" : "") for \(claim.attempt)"
        )
        lastSendAt = now
        if now > pauseKnownAt, now < pausedUntil { throttledEarly += 1 }
        oracle.sending(
            Spend(
                account: account, token: token, generation: claim.generation, attempt: claim.attempt,
                process: process.index, isRecovery: claim.isRecovery, sentAt: now), begunAt: begunAt, policy: policy)
        if let hook = hooks.sent {
            hooks.sent = nil
            hook(self, process)
        }
        if hit(.loginDuringRefresh, odds: plan.odds * 2) {
            // The old token is refused while the account goes on with the new one: that refusal must not count (I4).
            // Should the log-in get lost on its way to the store, the account is dead for a good reason.
            oracle.excuse(account, "the user has logged in anew")
            provider.revoke(account)
            reauthorize(account, through: random.pick(processes))
        }
        if hit(.providerRequestLost) {
            oracle.excuse(account, "a request to the provider was lost")
            return done(nil, 0, 0)
        }
        at(now + latency()) { [self] in
            let mood = mood(for: account)
            let (status, answer, reused) = provider.receive(token, mood: mood, at: now)
            if reused { oracle.familyRevoked(account, generation: claim.generation, by: claim.attempt) }
            var delay = latency() + .milliseconds(random.pick(5...300))
            var isLost = hit(.answerLost) || hooks.dropsFirstAnswer
            hooks.dropsFirstAnswer = false
            if hit(.slowAnswer) {
                delay += .milliseconds(random.pick(5000...30_000))
                isLost = isLost || delay > .seconds(18)
                oracle.trouble(process.index, "a slow answer", accounts: [account])
            }
            if isLost { oracle.excuse(account, "an answer of the provider was lost") }
            done(isLost ? nil : status, answer, delay)
        }
    }

    private func mood(for account: AccountID) -> ProviderMood {
        if provider.isOverRate(at: now) {
            throttled += 1
            let seconds = random.pick(1...3)
            // Known to all by the time that the answer and its settlement have travelled; requests that were under way
            // by then are over.
            if now + .seconds(seconds) > pausedUntil {
                if now >= pausedUntil { pauseKnownAt = now + .milliseconds(700) }
                pausedUntil = now + .seconds(seconds)
            }
            return .throttled(seconds: seconds)
        }
        if let scripted = script?.mood?(self, account) { return scripted }
        if hit(.throttled) { return .throttled(seconds: random.pick(1...120)) }
        if hit(.misconfigured) { return .misconfigured }
        if hit(.badGatewayBefore) {
            oracle.excuse(account, "an answer of the provider said nothing")
            return .badGateway(rotates: false)
        }
        if hit(.badGatewayAfter) {
            oracle.excuse(account, "an answer of the provider said nothing")
            return .badGateway(rotates: true)
        }
        if hit(.truncated) {
            oracle.excuse(account, "an answer of the provider was cut")
            return .truncated
        }
        if hit(.unparseable) {
            oracle.excuse(account, "an answer of the provider could not be read")
            return .unparseable
        }
        if hit(.refreshTokenOmitted) { return .omitRefreshToken }
        if hit(.revokedByUser, odds: plan.odds * 4) {
            oracle.excuse(account, "the user revoked it")
            return .revoked
        }
        return .rotate
    }
}
