import RefreshCore

/// One Perennial instance: the production machines, and a driver that performs their steps on simulated ports.
final class SimulatedProcess {
    unowned let world: Simulation
    let index: Int
    let id: InstanceID
    /// Grows with every start: what an earlier life began must not end in a later one.
    var life = 0
    var isUp = false
    var isPaused = false
    var isStopping = false
    /// Cut off from Redis.
    var isCutOff = false
    /// What happened to a stopped process, to be handled all at once when it goes on.
    var stalled: [SimulatedEvent] = []
    /// The machine's wall clock, off by this many milliseconds.
    var machineClockOffset: Int64 = 0
    private var bornAt: TrueTime = 0
    var fleetOffset = FleetOffset(initialWall: WallTime(milliseconds: Simulation.epoch))
    /// How far the server's clock was off when the last reply left it.
    var seenClockOffset: Int64 = 0
    var cache = TokenCache()
    var journal = SimulatedJournal()
    var random: SplitMix64

    // The connection to Redis; see SimulatedProcess+Calls.
    struct Connection {
        var node: Int
        var lastUp: TrueTime = 0
        var lastDown: TrueTime = 0
        /// The last write that this connection has made: what a durability wait refers to.
        var lastWrite: Int64?
    }
    var connection: Connection?
    var connectionSerial = 0
    var callSerial = 0
    var inFlight: [Int: (StoreError) -> Void] = [:]

    // Refreshing; see SimulatedProcess+Flights.
    var flights: [AccountID: SimulatedFlight] = [:]
    var deferred: [DeferredSettlement] = []
    var replaying: [AttemptID: [(SimulatedReplay) -> Void]] = [:]
    /// Since when the store has been behind what this instance knows, by account.
    var behindSince: [AccountID: MonotonicTime] = [:]
    var changes: [AccountID: Int] = [:]
    var waiters: [AccountID: [(serial: Int, wake: () -> Void)]] = [:]
    var waitSerial = 0
    var slotsInUse = 0
    var slotQueue: [() -> Void] = []
    var slotHead = 0
    var rememberedClaims: [AccountID: RefreshClaim] = [:]
    var isRecovering = false
    var leftoversSerial = 0
    var leftoversPause = Duration.milliseconds(500)

    // Leading; see SimulatedProcess+Leading.
    var lease = LeaseMachine(ttl: .seconds(5), now: MonotonicTime(nanoseconds: 0), seed: 0)
    var leaseSerial = 0
    var reign: Int64?
    var backlog = Backlog()
    var hasReconciled = false
    var isScanning = false
    var scanAgain = false
    var scanSerial = 0

    init(world: Simulation, index: Int, seed: UInt64) {
        self.world = world
        self.index = index
        self.id = try! InstanceID("i\(index)")
        self.random = SplitMix64(seed: seed)
    }

    var name: String { "i\(index)" }
    var policy: RefreshPolicy { world.policy }

    // MARK: Clocks

    /// This process's monotonic clock.
    func monotonic() -> MonotonicTime { MonotonicTime(nanoseconds: world.now - bornAt) }

    /// The clock that deadlines of a refresh run on: the monotonic one, unless a mutation says otherwise.
    func deadlineClock() -> MonotonicTime {
        guard world.plan.mutation == .trustWallClock else { return monotonic() }
        return monotonic() + .milliseconds(machineClockOffset)
    }

    func wall() -> WallTime { fleetOffset.wall(at: monotonic()) }

    func now() -> RefreshMachine.Now { RefreshMachine.Now(wall: wall(), monotonic: deadlineClock()) }

    /// Something that happens in this process after a while of true time.
    func after(_ delay: TrueTime, _ action: @escaping () -> Void) {
        world.queue.add(at: world.now + max(0, delay), process: self, life: life, action)
    }

    func after(_ delay: Duration, _ action: @escaping () -> Void) { after(TrueTime(delay), action) }

    // MARK: Life

    func start() {
        world.log("\(name) starts")
        life += 1
        isUp = true
        isStopping = false
        isPaused = false
        bornAt = world.now
        fleetOffset = FleetOffset(
            initialWall: WallTime(milliseconds: Simulation.epoch + world.now / 1_000_000 + machineClockOffset))
        seenClockOffset = world.redis.clockOffset
        cache = TokenCache()
        lease = LeaseMachine(ttl: world.plan.leaseTTL, now: monotonic(), seed: random.next())
        leftoversPause = .milliseconds(500)
        connect()
        leaseTick()
        pokeLeftovers()
    }

    /// The process is gone, whatever it was about to do.
    func crash(powerCut: Bool) {
        guard isUp else { return }
        world.log("\(name) \(powerCut ? "loses power" : "is killed")")
        journal.crash(powerCut: powerCut, using: &random)
        world.oracle.checkOwed(index, journal)
        die()
    }

    private func die() {
        world.trouble(self, "its instance died")
        isUp = false
        isPaused = false
        life += 1
        stalled.removeAll()
        connection = nil
        connectionSerial += 1
        inFlight.removeAll()
        flights.removeAll()
        deferred.removeAll()
        replaying.removeAll()
        waiters.removeAll()
        changes.removeAll()
        behindSince.removeAll()
        slotsInUse = 0
        slotQueue.removeAll()
        slotHead = 0
        rememberedClaims.removeAll()
        isRecovering = false
        reign = nil
        isScanning = false
        world.oracle.checkOwed(index, journal)
    }

    /// Frees the lease, lets flights land, and ends.
    func stop() {
        guard isUp, !isStopping else { return }
        world.log("\(name) is asked to stop")
        isStopping = true
        resign()
        endWhenLanded()
    }

    private func endWhenLanded() {
        after(.milliseconds(200)) { [self] in
            if flights.isEmpty {
                world.log("\(name) has stopped")
                journal.crash(powerCut: false, using: &random)
                die()
            } else {
                endWhenLanded()
            }
        }
    }

    func pause() {
        guard isUp, !isPaused else { return }
        isPaused = true
        world.trouble(self, "its instance was stopped")
    }

    func resume() {
        guard isUp, isPaused else { return }
        isPaused = false
        let waiting = stalled
        stalled.removeAll()
        for event in waiting {
            world.queue.add(at: world.now, process: self, life: event.life, event.action)
        }
    }
}
