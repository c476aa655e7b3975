import RefreshCore

/// One simulated run: instances, Redis, a provider, callers and people on one seeded queue of events, without threads
/// and without a clock of this machine. The same plan gives the same run, event by event.
public final class Simulation {
    /// Milliseconds since 1970 at the beginning of every run.
    static let epoch: Int64 = 1_800_000_000_000

    public struct Outcome: Sendable, Hashable {
        public var seed: UInt64
        public var violation: Violation?
        public var events = 0
        public var spends = 0
        public var recoveries = 0
        public var served = 0
        public var reigns = 0
        public var faults: [FaultKind: Int] = [:]
        /// Filled only for runs that were asked for it.
        public var trace: [String] = []
    }

    public let plan: SimulationPlan
    let policy: RefreshPolicy
    let policies: ModelPolicies
    var random: SplitMix64
    var queue = EventQueue()
    var now: TrueTime = 0
    var redis: SimulatedRedis
    var provider: SimulatedProvider
    var oracle = SimulationOracle()
    var processes: [SimulatedProcess] = []
    let accounts: [AccountID]
    var attempts = 0
    var reigns = 0
    var events = 0
    var isCalm = false
    var faults: [FaultKind: Int] = [:]
    let keepsTrace: Bool
    var trace: [String] = []
    /// Directed scenarios ask for faults at steps of their own choice.
    var script: SimulationScript?
    var hooks = SimulationHooks()
    var lastServed: [AccountID: Generation] = [:]
    /// When the last refresh token was sent, how often the provider throttled, and how many requests came although the
    /// pause that it had asked for was known to everybody.
    var lastSendAt: TrueTime = 0
    var throttled = 0
    var throttledEarly = 0
    var pausedUntil: TrueTime = 0
    var pauseKnownAt: TrueTime = 0

    public init(plan: SimulationPlan, keepsTrace: Bool = false) {
        self.plan = plan
        self.policy = plan.policy
        policies = ModelPolicies(plan.policy)
        self.keepsTrace = keepsTrace
        random = SplitMix64(seed: plan.seed &* 0x2545_f491_4f6c_dd1d &+ 1)
        redis = SimulatedRedis(
            keepsHistory: plan.waitsForReplica, lag: .milliseconds(plan.replicaLag))
        provider = SimulatedProvider(rotation: plan.rotation, lifetime: plan.lifetime)
        provider.rate = plan.providerRate
        accounts = (0..<plan.accounts).map { try! AccountID("a\($0)") }
        for node in redis.nodes.indices { redis.nodes[node].state.planted = plan.mutation }
    }

    // MARK: Running

    public func run() -> Outcome {
        begin()
        if let script {
            script.arrange(self)
        } else {
            scheduleNextFault()
        }
        scheduleNextCaller()
        at(TrueTime(plan.chaos)) { [self] in calmDown() }
        let end = TrueTime(plan.chaos) + TrueTime(plan.calm)
        while let next = queue.nextTime, next <= end, oracle.violation == nil { step() }
        now = max(now, end)
        if oracle.violation == nil { checkLiveness() }
        if oracle.violation == nil { script?.verify(self) }
        if let violation = oracle.violation { log("VIOLATION \(violation)") }
        return Outcome(
            seed: plan.seed, violation: oracle.violation, events: events, spends: oracle.spendCount,
            recoveries: oracle.recoveries, served: oracle.served, reigns: reigns, faults: faults, trace: trace)
    }

    private func step() {
        guard let event = queue.next() else { return }
        now = max(now, event.at)
        if let process = event.process {
            guard process.isUp, process.life == event.life else { return }
            guard !process.isPaused else {
                process.stalled.append(event)
                return
            }
            if interrupts(process) {
                if process.isUp, process.isPaused { process.stalled.append(event) }
                return
            }
        }
        events += 1
        if let hook = hooks.step, let process = event.process, attempts > 0 {
            hooks.steps += 1
            hook(self, process, hooks.steps)
            guard process.isUp, process.life == event.life else { return }
        }
        event.action()
    }

    /// A process can be killed or stopped at each of its steps: between any two of them.
    private func interrupts(_ process: SimulatedProcess) -> Bool {
        guard !isCalm, script == nil || script?.allowsChance == true else { return false }
        let odds = plan.odds * 30
        if hit(.crash, odds: odds) { return restartLater(process, powerCut: false) }
        if hit(.powerCut, odds: odds) { return restartLater(process, powerCut: true) }
        if hit(.pause, odds: odds) {
            pause(process, for: .milliseconds(random.pick(100...90_000)))
            return true
        }
        return false
    }

    @discardableResult
    func restartLater(_ process: SimulatedProcess, powerCut: Bool) -> Bool {
        process.crash(powerCut: powerCut)
        at(now + .milliseconds(random.pick(100...60_000))) { if !process.isUp { process.start() } }
        return true
    }

    func pause(_ process: SimulatedProcess, for duration: TrueTime) {
        log("\(process.name) is stopped for \(duration / 1_000_000) ms")
        process.pause()
        // Suspended machines wake up with a wall clock that is wrong.
        if hit(.instanceClockJump, odds: 2) { jumpClock(of: process) }
        at(now + duration) { [self] in
            if process.isPaused { log("\(process.name) goes on") }
            process.resume()
        }
    }

    func jumpClock(of process: SimulatedProcess) {
        process.machineClockOffset = random.pick([-3_600_000, 3_600_000, 0, -60_000])
        log("the wall clock of \(process.name) is off by \(process.machineClockOffset) ms")
    }

    // MARK: Small things

    func at(_ time: TrueTime, _ action: @escaping () -> Void) {
        queue.add(at: max(time, now), process: nil, life: 0, action)
    }

    func log(_ line: @autoclosure () -> String) {
        guard keepsTrace else { return }
        let milliseconds = now / 1_000_000
        let fraction = String(1000 + milliseconds % 1000).dropFirst()
        trace.append("\(milliseconds / 1000).\(fraction) \(line())")
    }

    /// Whether this fault happens here and now.
    func hit(_ kind: FaultKind, odds: Int? = nil) -> Bool {
        guard !isCalm, plan.faults.contains(kind), random.oneIn(odds ?? plan.odds) else { return false }
        faults[kind, default: 0] += 1
        log("fault: \(kind.rawValue)")
        return true
    }

    func latency() -> TrueTime { random.pick(200_000...3_000_000) }

    var serverWall: WallTime { redis.wall(at: now) }

    func trouble(_ process: SimulatedProcess?, _ reason: String) {
        oracle.trouble(process?.index, reason, accounts: accounts)
    }

    // MARK: The beginning

    private func begin() {
        for account in accounts {
            let end = plan.startsDueUntil ?? plan.lifetime
            let credentials = Credentials(
                refreshToken: Secret(provider.login(account)),
                accessToken: Secret(provider.issueAccess(until: TrueTime(end))), expiresAt: serverWall + end)
            let due =
                plan.startsDueUntil != nil
                ? serverWall
                : policy.dueTime(
                    expiresAt: serverWall + plan.lifetime, obtainedAt: serverWall, using: &random)
            let put = AccountPut(
                id: account, provider: SimulationPlan.provider, name: nil, credentials: credentials, dueAt: due)
            _ = execute(on: redis.primary) { $0.put(put, on: $0.redis.primary) }
        }
        for index in 0..<plan.instances {
            let process = SimulatedProcess(world: self, index: index, seed: random.next())
            processes.append(process)
            at(.milliseconds(random.pick(0...500))) { process.start() }
        }
    }

    // MARK: Calm

    /// Nothing goes wrong any more, and what was broken is repaired.
    private func calmDown() {
        log("all faults off")
        isCalm = true
        redis.trouble = nil
        redis.isDown = false
        if redis.isolated != nil { endIsolation() }
        for process in processes {
            process.journal.isDiskFull = false
            process.isCutOff = false
            process.resume()
            if !process.isUp { process.start() }
        }
        // What an operator paused by hand, an operator resumes.
        for account in accounts {
            if redis.nodes[redis.primary].state.account(account)?.enabled == false {
                _ = execute(on: redis.primary) {
                    $0.edit(account, AccountEdit(enabled: true), on: $0.redis.primary)
                }
            }
        }
    }

    private func scheduleNextCaller() {
        let pause = isCalm ? Duration.seconds(300) : plan.callerPause
        at(now + random.pick(0...(2 * TrueTime(pause)))) { [self] in
            someoneReads()
            scheduleNextCaller()
        }
    }

    func someoneReads() {
        let account = random.pick(accounts)
        let process = random.pick(processes)
        guard process.isUp, !process.isPaused, !process.isStopping else { return }
        var request = TokenRequest(account: account)
        if random.oneIn(6) { request.minimumTTL = .seconds(random.pick(1...Int64(plan.lifetime.inSeconds))) }
        if hit(.refusedToken, odds: 5) { request.refused = lastServed[account] }
        // A caller that hangs up is simply not told: the flight goes on.
        let hangsUp = hit(.hangUp, odds: 5)
        process.after(0) { [self] in
            process.read(request) { [self] answer in
                if !hangsUp, let answer { lastServed[account] = answer.snapshot.generation }
            }
        }
    }

    private func checkLiveness() {
        let state = redis.nodes[redis.primary].state
        for account in accounts {
            guard let record = state.records[account], !record.isRemoved else { continue }
            let snapshot = record.snapshot
            // A refresh is under way just now.
            if snapshot.intent != nil, state.liveLock(account, now: serverWall) != nil { continue }
            let excuses = oracle.explanation(of: account, at: snapshot.generation)
            if provider.isUsable(record.refreshToken.reveal()) {
                let isWell =
                    snapshot.isValid(at: serverWall) && snapshot.status == .active && snapshot.intent == nil
                // Two claims were left behind, whether or not anything was sent: nobody can know, so nothing may be.
                let isUnknowable = oracle.hadTrouble && (snapshot.intent?.resends ?? 0) > 0
                if !isWell, excuses == nil, !isUnknowable {
                    oracle.fail(
                        .liveness,
                        "\(account): \(snapshot.status.rawValue), generation \(snapshot.generation), valid \(snapshot.isValid(at: serverWall)), intent \(snapshot.intent.map { "\($0)" } ?? "none"), though its refresh token is good"
                    )
                }
            } else if excuses == nil {
                oracle.fail(.liveness, "\(account): its refresh token is dead, and nothing that happened explains it")
            } else if snapshot.isValid(at: serverWall - .seconds(1)), snapshot.status == .active {
                oracle.fail(
                    .liveness, "\(account): shown as active though its refresh token is dead (\(excuses ?? ""))")
            }
        }
        for process in processes {
            let stuck = process.journal.entries.filter {
                guard process.flights[$0.account]?.machine.attempt != $0.attempt else { return false }
                if case .rotated = provider.interpret($0.response) { return true }
                return false
            }
            if let entry = stuck.first {
                oracle.fail(.liveness, "\(process.name): the answer to \(entry.attempt) is still in the journal")
            }
            if !process.deferred.isEmpty {
                oracle.fail(.liveness, "\(process.name): a settlement is still waiting")
            }
        }
    }
}

/// What a directed scenario does with a run.
struct SimulationScript {
    var allowsChance = false
    var arrange: (Simulation) -> Void
    var verify: (Simulation) -> Void = { _ in }
    /// How the provider takes the next request for an account; nil leaves it to chance.
    var mood: ((Simulation, AccountID) -> ProviderMood?)?
}

/// Where a directed scenario can step in; each but the first happens once.
struct SimulationHooks {
    /// Before each step of a process from the first refresh on.
    var step: ((Simulation, SimulatedProcess, Int) -> Void)?
    var steps = 0
    /// A BEGIN has been granted, and its reply has been read.
    var granted: ((Simulation, SimulatedProcess) -> Void)?
    /// A refresh token has left a process.
    var sent: ((Simulation, SimulatedProcess) -> Void)?
    var dropsFirstAnswer = false
}
