import RefreshCore

/// One flight: the production machine, and who waits for it.
final class SimulatedFlight {
    var machine: RefreshMachine
    let ticket: TokenCache.EditTicket
    var landings: [(RefreshResult, Bool) -> Void] = []
    var holdsSlot = false
    /// The count of the account's changes before BEGIN, so that no wake-up is lost.
    var changeTicket = 0
    /// When the BEGIN that counts was sent, in true time.
    var begunAt: TrueTime = 0
    var diskFailed = false
    /// Whether this BEGIN follows a try to put back what the store had lost.
    var hasRestored = false

    init(machine: RefreshMachine, ticket: TokenCache.EditTicket) {
        self.machine = machine
        self.ticket = ticket
    }
}

// What RefreshCoordinator and RefreshFlight do with the production machine.
extension SimulatedProcess {
    /// Joins the flight of the account, or starts one.
    func refresh(
        _ account: AccountID, demand: RefreshDemand, ignoresBackoff: Bool = false,
        _ done: @escaping (RefreshResult, Bool) -> Void
    ) {
        if let flight = flights[account] {
            flight.landings.append { [self] result, _ in
                // A flight with a lesser demand may end without what this caller wants.
                if case .newer(let snapshot) = result, case .newerThan(let generation) = demand,
                    snapshot.generation <= generation
                {
                    return refresh(account, demand: demand, ignoresBackoff: ignoresBackoff, done)
                }
                done(result, true)
            }
            return
        }
        if case .newerThan(let generation) = demand, let known = cache.trusted(account, now: monotonic()),
            known.generation > generation
        {
            return done(.newer(known), false)
        }
        guard !isStopping else { return done(.failed(RefreshFailure(.shuttingDown, "shutting down"), nil), false) }
        world.attempts += 1
        let flight = SimulatedFlight(
            machine: RefreshMachine(
                account: account, demand: demand, policy: policy, attempt: AttemptID(rawValue: "t\(world.attempts)"),
                origin: id, ignoresBackoff: ignoresBackoff, fallbackReread: .milliseconds(250),
                patience: .seconds(75), startedAt: deadlineClock(), seed: random.next()),
            ticket: cache.editTicket(for: account))
        flight.landings.append(done)
        flights[account] = flight
        guard journal.checkWritable() else {
            return land(flight, .failed(RefreshFailure(.journalUnavailable, "the journal cannot be written"), nil))
        }
        perform(flight.machine.start(), flight)
    }

    private func feed(_ flight: SimulatedFlight, _ event: RefreshMachine.Event) {
        perform(flight.machine.handle(event, now: now()), flight)
    }

    private func perform(_ step: RefreshMachine.Step, _ flight: SimulatedFlight) {
        let account = flight.machine.account
        switch step {
        case .begin(let request):
            flight.changeTicket = changes[account] ?? 0
            takeSlot(flight) { [self] in begin(request, flight) }
        case .wait(let until):
            releaseSlot(flight)
            wait(account, since: flight.changeTicket, until: until) { [self] in feed(flight, .woken) }
        case .replay(let attempt):
            replay(attempt: attempt) { [self] in feed(flight, $0) }
        case .exchange(let claim, let sendBy, let deadline):
            exchange(claim, sendBy: sendBy, deadline: deadline, flight)
        case .commit(let request):
            world.oracle.committing(request, journal: journal, diskFailed: flight.diskFailed)
            commit(request) { [self] result in
                switch result {
                case .success(let served): feed(flight, .committed(served.reply))
                case .failure(let error): feed(flight, .commitFailed(error))
                }
            }
        case .settle(let request):
            settle(request) { [self] result in
                switch result {
                case .success(let reply):
                    // What a 2xx without tokens has left in the journal stays for a person.
                    if request.disposition != .unresolved { release(request.attempt, of: account, nil) }
                    feed(flight, .settled(reply))
                case .failure(let error):
                    deferred.removeAll { $0.attempt == request.attempt }
                    deferred.append(DeferredSettlement(request, now: monotonic()))
                    feed(flight, .settleFailed(error))
                }
            }
        case .finish(let result):
            land(flight, result)
        }
    }

    private func land(_ flight: SimulatedFlight, _ result: RefreshResult) {
        let account = flight.machine.account
        releaseSlot(flight)
        flights[account] = nil
        switch result {
        case .refreshed, .newer: behindSince[account] = nil
        case .failed: break
        }
        world.log("\(name) \(account) \(flight.machine.attempt) ends: \(result.word)")
        if case .refreshed(let snapshot) = result {
            cache.rememberCommitted(snapshot, since: flight.ticket, now: monotonic())
        }
        pokeLeftovers()
        for landing in flight.landings { landing(result, flight.machine.hasWaited) }
    }

    // MARK: Slots and waiting

    private func takeSlot(_ flight: SimulatedFlight, _ action: @escaping () -> Void) {
        if flight.holdsSlot { return action() }
        flight.holdsSlot = true
        if slotsInUse < policy.maxConcurrentExchanges {
            slotsInUse += 1
            return action()
        }
        slotQueue.append(action)
    }

    private func releaseSlot(_ flight: SimulatedFlight) {
        guard flight.holdsSlot else { return }
        flight.holdsSlot = false
        guard slotHead < slotQueue.count else {
            slotQueue.removeAll(keepingCapacity: true)
            slotHead = 0
            slotsInUse -= 1
            return
        }
        let next = slotQueue[slotHead]
        slotHead += 1
        after(TrueTime(0), next)
    }

    func changed(_ account: AccountID) {
        changes[account, default: 0] += 1
        guard let woken = waiters.removeValue(forKey: account) else { return }
        for waiter in woken { after(TrueTime(0), waiter.wake) }
    }

    private func wait(_ account: AccountID, since ticket: Int, until: MonotonicTime, _ done: @escaping () -> Void) {
        guard changes[account] ?? 0 == ticket else { return after(TrueTime(0), done) }
        waitSerial += 1
        let serial = waitSerial
        waiters[account, default: []].append((serial, done))
        after(max(until - deadlineClock(), .milliseconds(1))) { [self] in
            guard let index = waiters[account]?.firstIndex(where: { $0.serial == serial }) else { return }
            waiters[account]?.remove(at: index)
            done()
        }
    }

    // MARK: The steps

    private func begin(_ request: BeginRequest, _ flight: SimulatedFlight) {
        var request = request
        request.floor = floor(of: request.account)
        let sentAt = deadlineClock()
        flight.begunAt = world.now
        call("BEGIN", durable: true, repeatable: true) { world, node in
            world.begin(node, request)
        } _: { [self] result in
            switch result {
            case .success(let served):
                world.log("\(name) \(request.account) BEGIN \(request.attempt): \(served.reply.word)")
                began(served, request, sentAt: sentAt, flight)
            case .failure(let error):
                world.log("\(name) \(request.account) BEGIN \(request.attempt) fails: \(error.message)")
                if world.plan.mutation == .refreshWithoutRedis, var claim = rememberedClaims[request.account] {
                    claim.attempt = request.attempt
                    return feed(flight, .began(.granted(claim), sentAt: sentAt))
                }
                feed(flight, .beginFailed(error))
            }
        }
    }

    private func began(
        _ served: Served<BeginReply>, _ request: BeginRequest, sentAt: MonotonicTime, _ flight: SimulatedFlight
    ) {
        var reply = served.reply
        switch reply {
        case .granted(let claim):
            rememberedClaims[request.account] = claim
            if !served.isConfirmed { reply = .undurable(claim, reason: "no replica has the claim") }
        case .rolledBack(let snapshot), .quarantined(let snapshot, _, _):
            guard !flight.hasRestored else { break }
            flight.hasRestored = true
            return restore(request.account, at: snapshot.generation) { [self] isWorthATry in
                if isWorthATry { return begin(request, flight) }
                feed(flight, .began(reply, sentAt: sentAt))
            }
        default: break
        }
        flight.hasRestored = false
        feed(flight, .began(reply, sentAt: sentAt))
        if case .granted = reply, let hook = world.hooks.granted {
            world.hooks.granted = nil
            hook(world, self)
        }
    }

    /// The newest generation of the account that this instance knows of.
    private func floor(of account: AccountID) -> Generation? {
        let known = cache.lastKnown(account)?.generation
        let held = journal.entries.filter { entry in
            guard entry.account == account, case .rotated = world.provider.interpret(entry.response) else {
                return false
            }
            return true
        }.map(\.generation.next).max()
        guard let known, let held else { return known ?? held }
        return max(known, held)
    }

    /// Puts back what a store that stands at `generation` has lost of the account, as far as it is here.
    private func restore(_ account: AccountID, at generation: Generation, _ done: @escaping (Bool) -> Void) {
        let entries = journal.entries.filter {
            $0.account == account && $0.generation >= generation && !isUnderWay($0)
        }.sorted { $0.generation < $1.generation }
        let floor = floor(of: account)
        restore(entries[...], hasMoved: false) { [self] hasMoved in
            if hasMoved { return done(true) }
            guard let floor, floor > generation, hasWaitedEnough(for: account) else { return done(false) }
            behindSince[account] = nil
            cache.forget(account)
            world.log("\(name) \(account) goes on with generation \(generation) though \(floor) was lost")
            done(true)
        }
    }

    private func restore(_ entries: ArraySlice<JournalEntry>, hasMoved: Bool, _ done: @escaping (Bool) -> Void) {
        guard let entry = entries.first else { return done(hasMoved) }
        replay(entry) { [self] outcome in
            var hasMoved = hasMoved
            if case .done = outcome { hasMoved = true }
            restore(entries.dropFirst(), hasMoved: hasMoved, done)
        }
    }

    private func hasWaitedEnough(for account: AccountID) -> Bool {
        let since = behindSince[account] ?? monotonic()
        behindSince[account] = since
        return monotonic() - since >= policy.failoverHold
    }

    private func exchange(
        _ claim: RefreshClaim, sendBy: MonotonicTime, deadline: MonotonicTime, _ flight: SimulatedFlight
    ) {
        var delay = world.latency()
        if world.hit(.slowConnect) { delay += .milliseconds(random.pick(500...4000)) }
        let isRefusedConnection = world.hit(.connectRefused)
        after(delay) { [self] in
            guard !isRefusedConnection else {
                releaseSlot(flight)
                return feed(flight, .unreachable("connection refused"))
            }
            guard deadlineClock() < sendBy else {
                releaseSlot(flight)
                return feed(flight, .unsent("send-by missed"))
            }
            let requestedAt = wall()
            world.send(claim, from: self, begunAt: flight.begunAt) { [self] status, answer, answerDelay in
                // Called in the world outside, when the provider has answered; nil status for no answer.
                let rest = max(TrueTime(deadline - deadlineClock()), 0)
                let isInTime = status != nil && answerDelay < rest
                world.queue.add(
                    at: world.now + (isInTime ? answerDelay : rest), process: self, life: flightLife(flight)
                ) {
                    [self] in
                    releaseSlot(flight)
                    guard isInTime, let status else { return feed(flight, .unanswered("no answer in time")) }
                    answered(status, answer, requestedAt: requestedAt, claim, flight)
                }
            }
        }
    }

    private func flightLife(_ flight: SimulatedFlight) -> Int {
        flights[flight.machine.account] === flight ? life : -1
    }

    private func answered(
        _ status: Int, _ answer: Int, requestedAt: WallTime, _ claim: RefreshClaim, _ flight: SimulatedFlight
    ) {
        let account = claim.account.id
        let response = RawTokenResponse(
            status: status, headers: [], body: Array("\(answer)".utf8), requestedAt: requestedAt,
            isReplay: claim.isRecovery)
        let outcome = world.provider.interpret(response)
        world.log("\(name) \(account) \(claim.attempt) is answered \(status)")
        switch outcome {
        case .throttled, .misconfigured: world.oracle.cleared(claim.attempt, of: account)
        case .refused: world.oracle.refused(claim.attempt, of: account)
        case .rotated, .ambiguous: break
        }
        guard response.mayHoldTokens else { return feed(flight, .exchanged(outcome)) }
        let entry = JournalEntry(
            account: account, provider: claim.account.provider, attempt: claim.attempt,
            generation: claim.generation, spentRefreshToken: claim.refreshToken, isRecovery: claim.isRecovery,
            response: response)
        journal.write(entry)
        if world.plan.mutation == .skipFsync {
            world.oracle.journaled(entry, in: index, journal: journal)
            return feed(flight, .exchanged(outcome))
        }
        after(.milliseconds(random.pick(1...15))) { [self] in
            if journal.sync(entry, fails: world.hit(.fsyncError)) {
                world.oracle.journaled(entry, in: index, journal: journal)
            } else {
                flight.diskFailed = true
                world.oracle.excuse(account, "the disk refused its answer")
            }
            feed(flight, .exchanged(outcome))
        }
    }

    /// COMMIT, the orphan that may come of it, and the journal's release.
    func commit(_ request: CommitRequest, _ done: @escaping (Result<Served<CommitReply>, StoreError>) -> Void) {
        call("COMMIT", durable: true, repeatable: true) { world, node in
            world.commit(node, request)
        } _: {
            [self] result in
            guard case .success(let served) = result else {
                world.log("\(name) \(request.account) COMMIT \(request.attempt) fails")
                return done(result)
            }
            world.log("\(name) \(request.account) COMMIT \(request.attempt): \(served.reply)")
            switch served.reply {
            case .behind:
                guard request.occasion == .first, hasWaitedEnough(for: request.account) else { return done(result) }
                // Whoever has the generations in between is not coming.
                var last = request
                last.occasion = .last
                return commit(last, done)
            case .orphaned: break
            default:
                if served.isConfirmed { release(request.attempt, of: request.account, request) }
                let reply: CommitReply =
                    served.isConfirmed ? served.reply : .unconfirmed(served.reply, reason: "no replica has it")
                return done(.success(Served(reply: reply, isConfirmed: served.isConfirmed)))
            }
            call("ORPHAN", durable: true) { world, node in
                world.redis.nodes[node].state.keepOrphan(request)
            } _: { [self] kept in
                switch kept {
                case .success(let orphan):
                    if orphan.isConfirmed { release(request.attempt, of: request.account, request) }
                    done(result)
                case .failure(let error): done(.failure(error))
                }
            }
        }
    }

    func settle(_ request: SettleRequest, _ done: @escaping (Result<SettleReply, StoreError>) -> Void) {
        call("SETTLE", repeatable: true) { world, node in
            world.settle(node, request)
        } _: { [self] result in
            world.log(
                "\(name) \(request.account) SETTLE \(request.attempt) \(request.disposition.rawValue) \(request.fault.kind.rawValue)"
            )
            done(result.map(\.reply))
        }
    }

    private func release(_ attempt: AttemptID, of account: AccountID, _ request: CommitRequest?) {
        journal.release(attempt)
        guard let request else { return }
        world.oracle.letGo(
            attempt, of: account, refresh: request.refreshToken.reveal(), isConfirmed: world.plan.waitsForReplica,
            orphans: world.redis.nodes[world.redis.primary].state.orphans[account] ?? [], isRefused: false)
    }
}

extension BeginReply {
    var word: String {
        switch self {
        case .granted(let claim): claim.isRecovery ? "granted \(claim.generation) again" : "granted \(claim.generation)"
        case .fresh(let snapshot): "fresh \(snapshot.generation)"
        case .blocked: "blocked"
        case .limited(_, let until, let isPromised):
            "limited until \(until.milliseconds)\(isPromised ? " (promised)" : "")"
        case .overLimit(_, let until, _): "over the limit until \(until.milliseconds)"
        case .paused(_, let until, let cause): "paused until \(until.milliseconds) (\(cause.kind.rawValue))"
        case .cooling(_, let until, let cause): "cooling until \(until.milliseconds) (\(cause.kind.rawValue))"
        case .held(_, let remaining): "held for \(remaining)"
        case .pending(_, let intent, let age): "pending \(intent.attempt) \(intent.state.rawValue) for \(age)"
        case .foreignIntent: "foreign"
        case .missing: "missing"
        case .undurable(let claim, _): "undurable \(claim.generation)"
        case .quarantined(_, let until, _): "quarantined until \(until.milliseconds)"
        case .rolledBack(let snapshot): "rolled back to \(snapshot.generation)"
        }
    }
}
