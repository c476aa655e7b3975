import PerennialServers
import RedisStore
import RefreshCore

/// Does what a schedule says, each fault by itself: a long one does not hold up the next.
struct FaultInjector: Sendable {
    let site: ChaosSite
    let timeline: Timeline
    let narrator: Narrator
    private let turns = Turns()

    init(site: ChaosSite, timeline: Timeline, narrator: Narrator) {
        self.site = site
        self.timeline = timeline
        self.narrator = narrator
    }

    /// Injects until the schedule is over and every fault has ended.
    func run(_ schedule: [ScheduledFault]) async {
        let start = ContinuousClock.now
        await withDiscardingTaskGroup { group in
            for fault in schedule {
                try? await Task.sleep(until: start + fault.at, clock: .continuous)
                guard !Task.isCancelled else { return }
                group.addTask { await inject(fault) }
            }
        }
    }

    private func inject(_ fault: ScheduledFault) async {
        do {
            switch fault.kind {
            case .kill, .killLeader, .pause, .pauseLeader, .twoLeaders, .clockInstance:
                try await harmInstance(fault)
            case .redisCut, .redisAway, .redisDelay, .redisSilence, .redisHalfClose, .wireCut, .wireAway, .wireDrop,
                .wireDelay, .wireHalfClose, .wireLoseAnswer:
                try await harmWire(fault)
            case .providerErrorBefore, .providerErrorAfter, .providerSlow, .providerTruncated, .providerUnparseable,
                .providerThrottle, .providerDrop:
                try await harmProvider(fault)
            case .scriptFlush:
                try await during(fault, target: "redis") { await site.redis.flushScripts() }
            case .redisKill, .redisPowerCut, .redisPause, .clockRedis, .primaryKill, .primaryPause, .failover,
                .replicaKill, .reshard:
                // Two at once at the servers would be about the harness: a start that is killed again.
                await turns.take()
                defer { turns.giveBack() }
                let number = FaultMark()
                defer { if let number = number.value { timeline.end(number) } }
                try await site.redis.perform(fault.kind, dice: SplitMix64(seed: fault.seed)) { target in
                    narrator.say("\(fault.kind.rawValue): \(target)")
                    number.value = timeline.begin(fault.kind, target: target)
                }
            }
        } catch is CancellationError {
        } catch {
            narrator.say("\(fault.kind.rawValue) could not be done as planned: \(error)")
        }
    }

    /// Tells of a fault and keeps it in the timeline while `body` runs.
    func during(
        _ fault: ScheduledFault, target: String, instance: Int? = nil, _ body: () async throws -> Void
    ) async throws {
        narrator.say("\(fault.kind.rawValue): \(target)")
        let number = timeline.begin(fault.kind, target: target, instance: instance)
        defer { timeline.end(number) }
        try await body()
    }

    func sleep(_ milliseconds: ClosedRange<Int64>, _ dice: inout SplitMix64) async throws {
        try await Task.sleep(for: .milliseconds(Int64.random(in: milliseconds, using: &dice)))
    }

    // MARK: instances

    private func harmInstance(_ fault: ScheduledFault) async throws {
        var dice = SplitMix64(seed: fault.seed)
        var instance = site.instances.randomElement(using: &dice) ?? site.instances[0]
        if fault.kind == .killLeader || fault.kind == .pauseLeader { instance = await site.leader() ?? instance }
        let target = "instance \(instance.number)"
        switch fault.kind {
        case .kill, .killLeader:
            try await during(fault, target: target, instance: instance.number) {
                await instance.kill()
                try await sleep(100...3000, &dice)
                try await instance.start()
            }
        case .pause, .pauseLeader:
            try await during(fault, target: target, instance: instance.number) {
                await instance.pause()
                try await sleep(ChaosPlan.pause, &dice)
                await instance.resume()
            }
        case .twoLeaders:
            let limit = min(.seconds(60), site.plan.duration / 4)
            try await during(fault, target: "the lease") {
                let end = ContinuousClock.now + limit
                while ContinuousClock.now < end {
                    await site.redis.delete(Keys().leader)
                    try await Task.sleep(for: .milliseconds(700))
                }
            }
        case .clockInstance:
            guard let clock = site.clock, let turned = site.plan.turnedInstance else { return }
            let ahead = Bool.random(using: &dice)
            try await during(
                fault, target: "instance \(turned), an hour \(ahead ? "ahead" : "behind")", instance: turned
            ) {
                try clock.turn(by: ahead ? 3600 : -3600)
                try await sleep(3000...9000, &dice)
                try clock.turn(by: 0)
            }
        default: break
        }
    }

    // MARK: wires

    private func harmWire(_ fault: ScheduledFault) async throws {
        var dice = SplitMix64(seed: fault.seed)
        let number = Int.random(in: 1...site.plan.instances, using: &dice)
        let wire: FaultProxy
        let other: String
        switch fault.kind {
        case .redisCut, .redisAway, .redisDelay, .redisSilence, .redisHalfClose:
            guard let single = site.redis as? SingleRedis else { return }
            (wire, other) = (single.wires[number - 1], "redis")
        default:
            guard let provider = site.providers.randomElement(using: &dice) else { return }
            (wire, other) = (provider.wires[number - 1], "provider \(provider.name)")
        }
        try await during(fault, target: "instance \(number) – \(other)", instance: number) {
            switch fault.kind {
            case .redisCut, .wireCut:
                for _ in 0..<Int.random(in: 1...3, using: &dice) {
                    wire.cut()
                    try await sleep(100...800, &dice)
                }
            case .wireAway:
                await wire.stopListening()
                wire.cut()
                try? await sleep(1000...5000, &dice)
                try await wire.listenAgain()
            case .wireDrop:
                // Where nothing is repeated, each of these is lost when its one re-send falls into the same moment.
                wire.set(.init(isRefusing: true))
                wire.cut()
                try await sleep(100...500, &dice)
            case .redisAway:
                wire.set(.init(isRefusing: true))
                wire.cut()
                try await sleep(1000...5000, &dice)
            case .redisDelay, .wireDelay:
                wire.set(.init(delay: .milliseconds(Int64.random(in: 50...800, using: &dice))))
                try await sleep(1000...5000, &dice)
            case .redisSilence:
                let requests = Bool.random(using: &dice)
                wire.set(.init(holdsRequests: requests, holdsReplies: !requests))
                try await sleep(1000...5000, &dice)
            case .redisHalfClose, .wireHalfClose:
                wire.halfClose()
                try await sleep(100...500, &dice)
            case .wireLoseAnswer:
                wire.loseAnswers(Int.random(in: 1...3, using: &dice))
                try await sleep(1500...3000, &dice)
            default: break
            }
        }
        wire.loseAnswers(0)
        wire.set(.init())
    }

    // MARK: providers

    private func harmProvider(_ fault: ScheduledFault) async throws {
        var dice = SplitMix64(seed: fault.seed)
        guard let provider = site.providers.randomElement(using: &dice) else { return }
        // What a provider of single use loses after it has rotated is lost for good: a few are enough to see it.
        let count = Int.random(in: provider.rotation == .grace ? 2...6 : 1...2, using: &dice)
        let text =
            switch fault.kind {
            case .providerErrorBefore: "error-before:503@x\(count * 3)"
            case .providerErrorAfter: "error-after:502@x\(count)"
            case .providerSlow: "hang-after:\((ChaosPlan.exchangeDeadline + .seconds(2)).milliseconds)ms@x\(count)"
            case .providerTruncated: "truncated@x\(count)"
            case .providerUnparseable: "unparseable@x\(count)"
            case .providerThrottle: "throttle:2s@x\(count)"
            default: "drop-after@x\(count)"
            }
        try await during(fault, target: "provider \(provider.name)") {
            try await provider.mock.setFaults([text])
            try await sleep(1500...3000, &dice)
        }
        try await provider.mock.setFaults([])
    }
}
