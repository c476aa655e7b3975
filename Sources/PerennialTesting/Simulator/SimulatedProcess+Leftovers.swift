import RefreshCore

/// What earlier flights have left.
extension SimulatedProcess {
    enum SimulatedReplayOutcome { case done, unusable, waiting(StoreError) }

    func pokeLeftovers() {
        guard isUp, !isRecovering else { return }
        leftoversSerial += 1
        let serial = leftoversSerial
        after(TrueTime(0)) { [self] in if leftoversSerial == serial { recoverLeftovers() } }
    }

    func isUnderWay(_ entry: JournalEntry) -> Bool {
        flights[entry.account]?.machine.attempt == entry.attempt || replaying[entry.attempt] != nil
    }

    private func recoverLeftovers() {
        guard connection != nil, !isRecovering else { return }
        let entries = journal.entries.filter { !isUnderWay($0) }
        let settlements = deferred
        guard !entries.isEmpty || !settlements.isEmpty else {
            leftoversPause = .milliseconds(500)
            return
        }
        isRecovering = true
        recover(entries[...], settlements[...], isSomethingLeft: false)
    }

    private func recover(
        _ entries: ArraySlice<JournalEntry>, _ settlements: ArraySlice<DeferredSettlement>, isSomethingLeft: Bool
    ) {
        if let entry = entries.first {
            return replay(entry) { [self] outcome in
                var isLeft = isSomethingLeft
                if case .done = outcome {} else { isLeft = true }
                recover(entries.dropFirst(), settlements, isSomethingLeft: isLeft)
            }
        }
        if let settlement = settlements.first {
            return settle(settlement.request(at: monotonic())) { [self] result in
                if case .success = result { deferred.removeAll { $0 == settlement } }
                recover(entries, settlements.dropFirst(), isSomethingLeft: isSomethingLeft)
            }
        }
        isRecovering = false
        leftoversPause = isSomethingLeft ? min(leftoversPause * 2, .seconds(30)) : .milliseconds(500)
        leftoversSerial += 1
        let serial = leftoversSerial
        after(leftoversPause) { [self] in if leftoversSerial == serial { recoverLeftovers() } }
    }

    func replay(attempt: AttemptID, _ done: @escaping (RefreshMachine.Event) -> Void) {
        if let settlement = deferred.first(where: { $0.attempt == attempt }) {
            return settle(settlement.request(at: monotonic())) { [self] result in
                switch result {
                case .success:
                    deferred.removeAll { $0.attempt == attempt }
                    done(.replayed(true))
                case .failure(let error): done(.replayFailed(error))
                }
            }
        }
        guard let entry = journal.entry(attempt) else { return done(.replayed(false)) }
        replay(entry) { outcome in
            switch outcome {
            case .done: done(.replayed(true))
            case .unusable: done(.replayed(false))
            case .waiting(let error): done(.replayFailed(error))
            }
        }
    }

    /// Once at a time for each entry; who comes later shares the outcome.
    func replay(_ entry: JournalEntry, _ done: @escaping (SimulatedReplay) -> Void) {
        if replaying[entry.attempt] != nil {
            replaying[entry.attempt]?.append(done)
            return
        }
        guard case .rotated(let grant) = world.provider.interpret(entry.response) else { return done(.unusable) }
        replaying[entry.attempt] = [done]
        let dueAt = policy.dueTime(
            expiresAt: grant.expiresAt, obtainedAt: entry.response.requestedAt, using: &random)
        let request = CommitRequest(
            account: entry.account, provider: entry.provider, attempt: entry.attempt, generation: entry.generation,
            accessToken: grant.accessToken, refreshToken: grant.refreshToken ?? entry.spentRefreshToken,
            tokenType: grant.tokenType, expiresAt: grant.expiresAt, obtainedAt: entry.response.requestedAt,
            dueAt: dueAt, isRecovery: entry.isRecovery)
        commit(request) { [self] result in
            let outcome: SimulatedReplay
            switch result {
            case .success(let served):
                if case .behind = served.reply {
                    outcome = .waiting(StoreError(.unavailable, "the store has gone back"))
                } else {
                    outcome = served.isConfirmed ? .done : .waiting(StoreError(.unavailable, "not replicated"))
                }
            case .failure(let error): outcome = .waiting(error)
            }
            for waiting in replaying.removeValue(forKey: entry.attempt) ?? [] { waiting(outcome) }
        }
    }
}

typealias SimulatedReplay = SimulatedProcess.SimulatedReplayOutcome

extension RefreshResult {
    var word: String {
        switch self {
        case .refreshed(let snapshot): "refreshed to \(snapshot.generation)"
        case .newer(let snapshot): "newer \(snapshot.generation)"
        case .failed(let failure, _): "\(failure.code.rawValue) (\(failure.message))"
        }
    }
}
