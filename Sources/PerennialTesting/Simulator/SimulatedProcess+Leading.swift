import RefreshCore

// The election and the schedule: what LeaseKeeper and ProactiveScheduler do with the same machines.
extension SimulatedProcess {
    private static let interval = Duration.seconds(900)
    private static let hold = Duration.seconds(35)
    private static let most = 128

    func leaseTick() {
        leaseSerial += 1
        let serial = leaseSerial
        let (step, change) = lease.next(at: monotonic())
        apply(change)
        let sentAt = monotonic()
        switch step {
        case .sleep(let until):
            after(until - monotonic()) { [self] in if leaseSerial == serial { leaseTick() } }
        case .bid:
            guard !isStopping else { return }
            let ttl = lease.ttl
            call("a bid for the lease") { [id] world, node in
                world.redis.nodes[node].state.acquireLease(id, ttl: ttl, now: world.serverWall)
            } _: { [self] result in
                guard leaseSerial == serial else { return }
                switch result {
                case .success(let served): apply(lease.bidAnswered(served.reply, sentAt: sentAt, now: monotonic()))
                case .failure: lease.failed(now: monotonic())
                }
                leaseTick()
            }
        case .renew(let epoch):
            let ttl = lease.ttl
            call("a renewal of the lease") { [id] world, node in
                world.redis.nodes[node].state.renewLease(id, epoch: epoch, ttl: ttl, now: world.serverWall)
            } _: { [self] result in
                guard leaseSerial == serial else { return }
                switch result {
                case .success(let served): apply(lease.renewAnswered(served.reply, sentAt: sentAt, now: monotonic()))
                case .failure: lease.failed(now: monotonic())
                }
                leaseTick()
            }
        }
    }

    func resign() {
        leaseSerial += 1
        reign = nil
        guard let epoch = lease.resign(now: monotonic()) else { return }
        call("a release of the lease") { [id] world, node in
            world.redis.nodes[node].state.releaseLease(id, epoch: epoch, now: world.serverWall)
        } _: { _ in
        }
    }

    private func apply(_ change: LeaseMachine.Change) {
        switch change {
        case .none: return
        case .ended:
            world.log("\(name) leads no more")
            reign = nil
        case .began(let epoch):
            world.log("\(name) leads (epoch \(epoch))")
            world.reigns += 1
            reign = epoch
            backlog = Backlog()
            hasReconciled = false
            isScanning = false
            scan()
        }
    }

    func scheduleChanged() {
        guard reign != nil else { return }
        backlog.letGo()
        backlog.lookBy(monotonic())
        scan()
    }

    /// One round of the loop of ProactiveScheduler.
    func scan() {
        guard let epoch = reign, lease.isLeader(at: monotonic()), lease.epoch == epoch else { return }
        guard !isScanning else {
            scanAgain = true
            return
        }
        isScanning = true
        scanAgain = false
        if !hasReconciled {
            return call("the reconciliation of the schedule") { world, node in
                world.redis.nodes[node].state.reconcile(now: world.serverWall)
            } _: { [self] result in
                if case .success = result { hasReconciled = true }
                guard reign == epoch else { return }
                guard hasReconciled else {
                    return after(.seconds(1)) { [self] in if reign == epoch { continueScan() } }
                }
                refill(epoch)
            }
        }
        refill(epoch)
    }

    private func continueScan() {
        isScanning = false
        scan()
    }

    private func refill(_ epoch: Int64) {
        let limits = backlog.wanted(world.policies, limit: Self.most, now: monotonic())
        guard !limits.isEmpty else { return startDue(epoch) }
        let askedAt = monotonic()
        call("a look at the schedule") { world, node in
            world.redis.nodes[node].state.takeDue(limits: limits, hold: Self.hold, now: world.serverWall)
        } _: { [self] result in
            guard reign == epoch else { return }
            switch result {
            case .success(let served):
                for account in served.reply.due { backlog.add(account) }
                backlog.looked(
                    at: limits.keys, nextLook: askedAt + (served.reply.nextDueIn ?? Self.interval))
            case .failure:
                backlog.looked(at: limits.keys, nextLook: askedAt + .seconds(1))
            }
            startDue(epoch)
        }
    }

    private func startDue(_ epoch: Int64) {
        for due in backlog.startable(world.policies, limit: Self.most, now: monotonic()) {
            refresh(due.account, demand: .whenDue) { [self] result, _ in
                guard reign == epoch else { return }
                let look = Backlog.nextLook(after: result, hold: Self.hold, now: monotonic(), wall: wall())
                backlog.finished(due, lookAgainAt: look)
                if let held = Backlog.holdBack(after: result, now: monotonic(), wall: wall()) {
                    backlog.holdBack(due.provider, until: held)
                }
                wakeScan()
            }
        }
        isScanning = false
        if scanAgain { return wakeScan() }
        let blind = monotonic() + (cache.isSubscribed ? Self.interval : .seconds(1))
        if !cache.isSubscribed { backlog.lookBy(blind) }
        let look = min(
            backlog.nextLook(world.policies, limit: Self.most) ?? blind, blind,
            backlog.nextStart(world.policies, limit: Self.most) ?? blind)
        scanSerial += 1
        let serial = scanSerial
        after(max(look - monotonic(), .milliseconds(1))) { [self] in if scanSerial == serial { scan() } }
    }

    private func wakeScan() {
        scanSerial += 1
        let serial = scanSerial
        after(TrueTime(0)) { [self] in if scanSerial == serial { scan() } }
    }
}
