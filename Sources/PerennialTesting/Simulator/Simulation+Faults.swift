import RefreshCore

// Faults of the whole world, and what people do.
extension Simulation {
    private static let worldly: [FaultKind] = [
        .connectionCut, .partition, .subscriptionLost, .redisRestart, .redisErrors, .redisClockJump, .eviction,
        .failover, .isolatedPrimary, .instanceClockJump, .stop, .diskFull, .reauthorization, .removal, .accountPaused,
        .edit,
    ]

    func scheduleNextFault() {
        guard plan.faults.contains(where: { Self.worldly.contains($0) }) else { return }
        at(now + random.pick(0...(2 * TrueTime(plan.faultPause)))) { [self] in
            guard !isCalm else { return }
            inject(random.pick(Self.worldly.filter { plan.faults.contains($0) }))
            scheduleNextFault()
        }
    }

    func inject(_ kind: FaultKind) {
        let process = random.pick(processes)
        let account = random.pick(accounts)
        faults[kind, default: 0] += 1
        log("fault: \(kind.rawValue)")
        switch kind {
        case .connectionCut, .subscriptionLost: process.after(0) { process.cutConnection(process.connectionSerial) }
        case .partition: cutOff(process, for: .milliseconds(random.pick(500...90_000)))
        case .redisRestart: restartRedis(after: .milliseconds(random.pick(200...20_000)))
        case .redisErrors:
            redis.trouble = random.pick([.outOfMemory, .readOnly, .noAuth, .loading])
            trouble(nil, "Redis refused writes")
            at(now + .milliseconds(random.pick(200...60_000))) { [self] in redis.trouble = nil }
        case .redisClockJump: jumpRedisClock(random.pick([-3_600_000, 3_600_000]))
        case .eviction: evict(account)
        case .failover: failOver()
        case .isolatedPrimary: isolate(process, for: .milliseconds(random.pick(4000...60_000)))
        case .instanceClockJump: jumpClock(of: process)
        case .stop:
            process.stop()
            at(now + .milliseconds(random.pick(30_000...90_000))) { if !process.isUp { process.start() } }
        case .diskFull:
            process.journal.isDiskFull = true
            at(now + .milliseconds(random.pick(1000...120_000))) { process.journal.isDiskFull = false }
        case .reauthorization: reauthorize(account, through: process)
        case .removal: removeAndAddAgain(account, through: process)
        case .accountPaused:
            edit(account, AccountEdit(enabled: false), through: process)
            at(now + .milliseconds(random.pick(100...200_000))) { [self] in
                edit(account, AccountEdit(enabled: true), through: process)
            }
        case .edit: edit(account, AccountEdit(name: "n\(random.pick(0...999))"), through: process)
        default: break
        }
    }

    // MARK: Redis

    func cutOff(_ process: SimulatedProcess, for duration: TrueTime) {
        guard !process.isCutOff else { return }
        process.isCutOff = true
        trouble(process, "its instance was cut off")
        at(now + duration) { [self] in
            process.isCutOff = false
            if process.isUp {
                let serial = process.connectionSerial
                process.after(latency()) { process.cutConnection(serial) }
            }
        }
    }

    /// A restart without loss: `appendfsync always`.
    func restartRedis(after duration: TrueTime) {
        guard !redis.isDown else { return }
        redis.isDown = true
        trouble(nil, "Redis was away")
        dropConnections(except: nil)
        at(now + duration) { [self] in
            redis.isDown = false
            redis.nodes[redis.primary].state.inChargeSince = serverWall
            redis.trouble = .loading
            at(now + .milliseconds(random.pick(10...3000))) { [self] in
                if redis.trouble == .loading { redis.trouble = nil }
            }
        }
    }

    func dropConnections(except kept: Int?) {
        for process in processes where process.isUp && process.index != kept {
            let serial = process.connectionSerial
            process.after(latency()) { process.cutConnection(serial) }
        }
    }

    func jumpRedisClock(_ offset: Int64) {
        redis.clockOffset = redis.clockOffset == 0 ? offset : 0
        log("the clock of Redis is off by \(redis.clockOffset) ms")
        // Intents age on it: a spend under way may look abandoned and be sent once more.
        trouble(nil, "the clock of Redis jumped")
    }

    private func evict(_ account: AccountID) {
        let node = redis.primary
        if random.oneIn(3) { redis.nodes[node].state.lease = nil } else { redis.nodes[node].state.locks[account] = nil }
    }

    func failOver() {
        guard plan.waitsForReplica, redis.isolated == nil, !redis.isDown else { return }
        redis.isDown = true
        trouble(nil, "Redis failed over")
        dropConnections(except: nil)
        let cutAt = now
        redis.nodes[redis.primary].replicationCutAt = cutAt
        at(now + .milliseconds(random.pick(1000...8000))) { [self] in
            redis.failOver(at: now)
            redis.isDown = false
            oracle.failedOver(to: redis.nodes[redis.primary].state)
        }
    }

    /// The primary keeps one client and loses everybody else.
    func isolate(_ process: SimulatedProcess, for duration: TrueTime) {
        guard plan.waitsForReplica, redis.isolated == nil, !redis.isDown else { return }
        let old = redis.primary
        redis.nodes[old].replicationCutAt = now
        redis.isolated = (old, process.index)
        trouble(nil, "Redis failed over")
        dropConnections(except: process.index)
        for other in processes where other !== process { other.isCutOff = true }
        at(now + .milliseconds(random.pick(1000...4000))) { [self] in
            guard redis.isolated?.node == old else { return }
            redis.failOver(at: now)
            oracle.failedOver(to: redis.nodes[redis.primary].state)
            for other in processes where other !== process { other.isCutOff = false }
        }
        at(now + max(duration, .seconds(5))) { [self] in if redis.isolated?.node == old { endIsolation() } }
    }

    func endIsolation() {
        guard let isolated = redis.isolated else { return }
        if redis.primary == isolated.node {
            redis.failOver(at: now)
            oracle.failedOver(to: redis.nodes[redis.primary].state)
        }
        redis.isolated = nil
        for process in processes { process.isCutOff = false }
        let process = processes[isolated.process]
        if process.isUp {
            let serial = process.connectionSerial
            process.after(latency()) { process.cutConnection(serial) }
        }
    }

    // MARK: People

    func reauthorize(_ account: AccountID, through process: SimulatedProcess) {
        guard process.isUp else { return }
        let token = provider.login(account)
        let access = provider.issueAccess(until: now + TrueTime(plan.lifetime))
        let life = plan.lifetime
        process.after(latency()) { [self] in
            let due = policy.dueTime(
                expiresAt: process.wall() + life, obtainedAt: process.wall(), using: &process.random)
            let put = AccountPut(
                id: account, provider: SimulationPlan.provider, name: nil,
                credentials: Credentials(
                    refreshToken: Secret(token), accessToken: Secret(access), expiresAt: process.wall() + life),
                dueAt: due)
            process.call("PUT") { world, node in
                world.put(put, on: node)
            } _: { _ in
            }
        }
    }

    func removeAndAddAgain(_ account: AccountID, through process: SimulatedProcess) {
        guard process.isUp else { return }
        process.after(latency()) {
            process.call("REMOVE") { world, node in
                world.remove(account, on: node)
            } _: { _ in
            }
        }
        at(now + .milliseconds(random.pick(1...100_000))) { [self] in reauthorize(account, through: process) }
    }

    func edit(_ account: AccountID, _ edit: AccountEdit, through process: SimulatedProcess) {
        guard process.isUp else { return }
        process.after(latency()) {
            process.call("EDIT") { world, node in
                world.edit(account, edit, on: node)
            } _: { _ in
            }
        }
    }
}
