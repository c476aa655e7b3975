import RefreshCore

/// A reply of a script, and whether the durability wait after it was satisfied.
struct Served<Reply> {
    var reply: Reply
    var isConfirmed: Bool
}

// The way to Redis and back: one connection in order, with everything that can happen to it.
extension SimulatedProcess {
    /// A command without a reply for this long cuts the connection.
    static let commandTimeout = TrueTime.seconds(5)
    /// The longest a durability wait takes.
    static let waitTimeout = TrueTime.seconds(1)

    func connect() {
        let serial = connectionSerial
        let delay = TrueTime.milliseconds(random.pick(1...20))
        guard !isCutOff, let node = world.redis.node(for: index) else {
            after(.milliseconds(random.pick(200...1000))) { [self] in
                if connection == nil, connectionSerial == serial { connect() }
            }
            return
        }
        after(delay) { [self] in
            guard connection == nil, connectionSerial == serial else { return }
            guard !isCutOff, world.redis.node(for: index) == node else { return connect() }
            connection = Connection(node: node)
            world.log("\(name) is connected to node \(node)")
            subscriptionChanged(isUp: true)
        }
    }

    func subscriptionChanged(isUp: Bool) {
        cache.subscriptionChanged(isUp: isUp)
        guard isUp else { return }
        // Messages may have been missed.
        for account in world.accounts { changed(account) }
        scheduleChanged()
        pokeLeftovers()
    }

    /// The connection is gone, and with it every command under way.
    func cutConnection(_ serial: Int) {
        guard connection != nil, connectionSerial == serial else { return }
        world.log("\(name) loses its connection, \(inFlight.count) commands under way")
        world.trouble(self, "its connection was lost")
        connection = nil
        connectionSerial += 1
        let lost = inFlight.sorted { $0.key < $1.key }
        inFlight.removeAll()
        subscriptionChanged(isUp: false)
        for (_, fail) in lost { fail(StoreError(.outcomeUnknown, "no reply")) }
        after(.milliseconds(random.pick(20...400))) { [self] in if connection == nil { connect() } }
    }

    /// Runs a script on the server that this process is connected to.
    ///
    /// - Parameters:
    ///   - durable: wait until the write is replicated, where the run asks for it.
    ///   - repeatable: the server may carry it out twice.
    func call<Reply>(
        _ name: String, durable: Bool = false, repeatable: Bool = false,
        _ script: @escaping (Simulation, Int) -> Reply,
        _ done: @escaping (Result<Served<Reply>, StoreError>) -> Void
    ) {
        guard connection != nil else {
            return after(.milliseconds(1)) { done(.failure(StoreError(.unavailable, "not connected"))) }
        }
        callSerial += 1
        let number = callSerial
        let serial = connectionSerial
        let sentAt = monotonic()
        let timeoutAt = world.now + Self.commandTimeout
        inFlight[number] = { done(.failure($0)) }
        var delay = world.latency()
        if world.hit(.slowRequest) { delay += .milliseconds(random.pick(200...9000)) }
        let isLost = world.hit(.requestLost)
        let arrival = max(world.now + delay, connection!.lastUp + 1)
        connection!.lastUp = arrival
        let life = life
        if isLost || arrival > timeoutAt { timeOut(serial, number, at: timeoutAt) }
        if isLost { return }
        world.at(arrival) { [self] in
            let node = self.connection?.node
            // What was on its way arrives even if the sender is gone; a server that is away takes nothing.
            guard !isCutOff, let reachable = world.redis.node(for: index), life == self.life || self.isUp else {
                return timeOut(serial, number, at: timeoutAt)
            }
            if serial == connectionSerial, let node, node != reachable {
                return timeOut(serial, number, at: world.now)
            }
            if let trouble = world.redis.trouble {
                return answer(name, serial, number, sentAt, timeoutAt, life) {
                    done(.failure(StoreError(.refused, "Redis refused: \(trouble.rawValue)")))
                }
            }
            var reply = world.execute(on: reachable) { script($0, reachable) }
            if repeatable, world.hit(.executedTwice) { reply = world.execute(on: reachable) { script($0, reachable) } }
            if reply.hasWritten, serial == connectionSerial {
                connection?.lastWrite = world.redis.nodes[reachable].state.writes
            }
            let result = reply.reply
            guard durable, world.plan.waitsForReplica else {
                return answer(name, serial, number, sentAt, timeoutAt, life) {
                    done(.success(Served(reply: result, isConfirmed: true)))
                }
            }
            // What other calls write meanwhile is their affair: each has a connection of its own while it waits.
            let offset = serial == connectionSerial ? connection?.lastWrite : nil
            waitForReplica(reachable, offset, until: world.now + Self.waitTimeout) { [self] isConfirmed in
                answer(name, serial, number, sentAt, timeoutAt, life) {
                    done(.success(Served(reply: result, isConfirmed: isConfirmed)))
                }
            }
        }
    }

    /// `WAIT`: covers the last write of this connection, and returns at once where there was none.
    private func waitForReplica(
        _ node: Int, _ offset: Int64?, until limit: TrueTime, _ done: @escaping (Bool) -> Void
    ) {
        guard let offset else { return done(true) }
        if world.redis.confirmed(by: node, at: world.now) >= offset { return done(true) }
        if world.now >= limit
            || world.redis.nodes[node].replicationCutAt != nil && world.now + .milliseconds(50) > limit
        {
            return done(false)
        }
        world.at(world.now + max(.milliseconds(5), world.redis.lag / 4)) { [self] in
            waitForReplica(node, offset, until: limit, done)
        }
    }

    private func answer(
        _ name: String, _ serial: Int, _ number: Int, _ sentAt: MonotonicTime, _ timeoutAt: TrueTime, _ life: Int,
        _ done: @escaping () -> Void
    ) {
        guard self.life == life, serial == connectionSerial, connection != nil else { return }
        var delay = world.latency()
        if world.hit(.slowReply) { delay += .milliseconds(random.pick(200...9000)) }
        let arrival = max(world.now + delay, connection!.lastDown + 1)
        if isCutOff || world.hit(.replyLost) || arrival > timeoutAt {
            world.log("the reply to \(name) of \(self.name) is lost")
            return timeOut(
                serial, number, at: isCutOff || arrival > timeoutAt ? timeoutAt : world.now + .milliseconds(20))
        }
        connection!.lastDown = arrival
        let stamp = world.redis.wall(at: world.now)
        let clockOffset = world.redis.clockOffset
        world.queue.add(at: arrival, process: self, life: life) { [self] in
            guard inFlight.removeValue(forKey: number) != nil else { return }
            fleetOffset.align(to: stamp, sentAt: sentAt, receivedAt: monotonic())
            seenClockOffset = clockOffset
            done()
        }
    }

    private func timeOut(_ serial: Int, _ number: Int, at time: TrueTime) {
        guard isUp else { return }
        world.queue.add(at: max(time, world.now), process: self, life: life) { [self] in
            if inFlight[number] != nil { cutConnection(serial) }
        }
    }

    /// A message of the fleet's broadcast.
    func received(_ signal: FleetSignal) {
        switch signal {
        case .changed(let change):
            if change.outcome == .removed { cache.forget(change.account) } else { cache.invalidate(change) }
            changed(change.account)
            if change.outcome.movesSchedule { scheduleChanged() }
        case .eventsAppended: break
        case .leaderReleased:
            lease.leaderReleased(now: monotonic())
            leaseTick()
        case .providerResumed: scheduleChanged()
        case .connected, .disconnected, .cooldownChanged: break
        }
    }
}
