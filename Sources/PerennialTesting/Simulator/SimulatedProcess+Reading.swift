import RefreshCore

// What TokenReader does with the production decisions.
extension SimulatedProcess {
    /// How far the fleet's clock can be off in an instance: a reply's time, and what an operator's jump leaves.
    static let clockTolerance = Duration.milliseconds(50)

    func read(_ request: TokenRequest, _ done: @escaping (TokenAnswer?) -> Void) {
        var reading = TokenReading(request: request)
        load(request.account) { [self] result in
            switch result {
            case .success(let (snapshot, source)):
                act(on: reading.look(at: snapshot, source: source, policy: policy, now: wall()), reading, done)
            case .failure(let failure):
                act(on: .fail(failure), reading, done)
            }
        }
    }

    private func act(
        on step: TokenReading.Step, _ reading: TokenReading, told: AccountSnapshot? = nil,
        _ done: @escaping (TokenAnswer?) -> Void
    ) {
        let request = reading.request
        switch step {
        case .answer(let answer, let refreshes):
            if refreshes {
                refresh(answer.snapshot.id, demand: .newerThan(answer.snapshot.generation)) { _, _ in }
            }
            serve(answer, request)
            done(answer)
        case .refresh(let account, _, let generation):
            refresh(account, demand: .newerThan(generation)) { [self] result, _ in
                var reading = reading
                let known = cache.lastKnown(account)
                let step = reading.refreshed(result, known: known, policy: policy, now: wall())
                act(on: step, reading, told: result.snapshot ?? reading.snapshot, done)
            }
        case .fail(let failure):
            let known = cache.lastKnown(request.account)
            if world.plan.mutation == .serveExpired, let known, known.enabled,
                let answer = TokenAnswer(known, source: .memory, isStale: true)
            {
                serve(answer, request)
                return done(answer)
            }
            if let known {
                world.oracle.withheld(known, told: told, from: request, failure: failure, fleet: wall())
            }
            done(nil)
        }
    }

    private func serve(_ answer: TokenAnswer, _ request: TokenRequest) {
        let fleet = WallTime(milliseconds: Simulation.epoch + world.now / 1_000_000 + seenClockOffset)
        world.oracle.serves(
            answer, to: request, trueEnd: world.provider.ends[answer.accessToken.reveal()], now: world.now,
            fleet: fleet, tolerance: Self.clockTolerance)
    }

    private func load(
        _ account: AccountID,
        _ done: @escaping (Result<(AccountSnapshot, TokenAnswer.Source), RefreshFailure>) -> Void
    ) {
        if let snapshot = cache.trusted(account, now: monotonic()) { return done(.success((snapshot, .memory))) }
        let ticket = cache.ticket(for: account)
        call("a read") { world, node in
            world.redis.nodes[node].state.account(account)
        } _: { [self] result in
            switch result {
            case .success(let served):
                guard let snapshot = served.reply else {
                    cache.forget(account)
                    return done(.failure(RefreshFailure(.accountNotFound, "no account \(account)")))
                }
                cache.remember(snapshot, since: ticket, now: monotonic())
                if let known = cache.lastKnown(account), known.generation > snapshot.generation, snapshot.enabled,
                    known.isValid(at: wall())
                {
                    return done(.success((known, .memory)))
                }
                done(.success((snapshot, .redis)))
            case .failure(let error):
                if let snapshot = cache.lastKnown(account), snapshot.isValid(at: wall()) {
                    return done(.success((snapshot, .memory)))
                }
                done(.failure(RefreshFailure(.storeUnavailable, error.message)))
            }
        }
    }
}
