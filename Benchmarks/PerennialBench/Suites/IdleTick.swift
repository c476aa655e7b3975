import ArgumentParser
import PerennialServers
import PerennialTesting
import RedisClient
import RedisStore
import RefreshCore
import Sealing

/// What a look at the schedule costs when nothing is due.
struct IdleTickCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idle-tick",
        abstract: "Redis commands of a look at the schedule with 100 and with 100,000 accounts, none due.")

    @OptionGroup var options: BenchOptions

    func run() async throws { try await options.run([IdleTickSuite()]) }
}

/// Runs the leader's scheduler itself, in this process, on a real Redis: nothing else talks to it meanwhile, so that
/// what it has executed is what the looks have cost.
struct IdleTickSuite: BenchSuite {
    let name = "idle-tick"
    static let looks = 20

    func run(_ environment: BenchEnvironment) async throws -> BenchReport {
        let large = environment.isQuick ? 10_000 : 100_000
        let few = try await measure(environment, accounts: 100)
        let many = try await measure(environment, accounts: large)
        var report = BenchReport(name)
        report.add("commands of \(Self.looks) looks, 100 accounts", few.calls.values.reduce(0, +))
        report.add("commands of \(Self.looks) looks, \(large) accounts", many.calls.values.reduce(0, +))
        report.require("commands that differ between the two", Self.differences(few, many), .equals, 0)
        report.require("round trips of one look", Double(many["evalsha"]) / Double(Self.looks), .equals, 1)
        report.notes = [
            "\(Self.looks) looks of the leader's scheduler, woken as by a message that an account has changed; "
                + "nothing is due; INFO commandstats before and after, commands inside scripts included",
            "100 accounts: \(few.text)", "\(large) accounts: \(many.text)",
        ]
        return report
    }

    private static func differences(_ one: RedisCounts, _ other: RedisCounts) -> Int {
        Set(one.calls.keys).union(other.calls.keys).count { one[$0] != other[$0] }
    }

    private func measure(_ environment: BenchEnvironment, accounts: Int) async throws -> RedisCounts {
        try await Workshop.with(environment) { workshop in
            let redis = try await workshop.startRedis()
            environment.say("  \(accounts) accounts")
            return try await RedisClient.withClient(redis.url) { client in
                let scene = try await Scene(client)
                try await scene.fill(accounts)
                return try await scene.looks(Self.looks)
            }
        }
    }

    /// The parts of a leader that a look at the schedule needs.
    private struct Scene {
        let client: RedisClient
        let link: RedisLink
        let instance: InstanceID
        let provider: ProviderName
        let clock = FleetClock(initialWall: WallTime(milliseconds: 0))

        init(_ client: RedisClient) async throws {
            self.client = client
            instance = try InstanceID("bench")
            provider = try ProviderName(MockProcess.provider)
            link = RedisLink(
                client: client, keys: Keys(), ring: try KeyRing(keys: [.generate()]), clock: clock)
            try await StoreMeta.open(link)
        }

        /// Accounts that are due in an hour, many writes at once.
        func fill(_ count: Int) async throws {
            let directory = RedisAccountDirectory(link: link, origin: instance)
            let now = WallTime(
                milliseconds: (try await client.send(RedisCommand("TIME")).array?.first?.int ?? 0) * 1000)
            let lanes = 64
            let provider = provider
            try await withThrowingTaskGroup { group in
                for lane in 0..<lanes {
                    group.addTask {
                        for number in stride(from: lane, to: count, by: lanes) {
                            let reply = try await directory.put(
                                AccountPut(
                                    id: try AccountID("account-\(number)"), provider: provider, name: nil,
                                    credentials: Credentials(
                                        refreshToken: Secret("rt-\(number)"), accessToken: Secret("at-\(number)"),
                                        expiresAt: now + .seconds(7200)),
                                    dueAt: now + .seconds(3600)))
                            guard case .created = reply else { throw BenchError("account \(number) was not created") }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }

        /// What `count` looks cost, once the reign has begun and the schedule is reconciled.
        func looks(_ count: Int) async throws -> RedisCounts {
            let policies = ModelPolicies(RefreshPolicy(provider: provider))
            let deck = FlightDeck(
                store: RedisAccountStore(link: link, origin: instance), endpoint: ModelEndpoint(time: clock),
                journal: ModelJournal(), time: clock, hub: ChangeHub(), cache: TokenCache(), logger: quietLogger)
            let scheduler = ProactiveScheduler(
                store: RedisScheduleStore(link: link),
                coordinator: RefreshCoordinator(deck: deck, policies: policies, origin: instance),
                policies: policies, time: clock, configuration: .init(), logger: quietLogger,
                isSubscribed: { true })
            // A lease so long that no renewal falls into the measurement.
            let keeper = LeaseKeeper(
                store: RedisLeaseStore(link: link), instance: instance, ttl: .seconds(600), time: clock,
                logger: quietLogger, seed: 1)
            let reign = Task { await keeper.run { await scheduler.run($0) } }
            defer { reign.cancel() }
            try await Self.wait("the first look at the schedule") { scheduler.tickCount >= 1 }
            // Until the reply of that look has been worked on.
            try await look(scheduler)
            let before = try await settledCounts()
            for _ in 0..<count { try await look(scheduler) }
            return try await settledCounts().since(before)
        }

        private func look(_ scheduler: ProactiveScheduler) async throws {
            let seen = scheduler.tickCount
            scheduler.scheduleChanged()
            try await Self.wait("another look at the schedule") { scheduler.tickCount > seen }
        }

        /// The counts, when two readings in a row are the same.
        private func settledCounts() async throws -> RedisCounts {
            var last = try await client.counts()
            for _ in 0..<500 {
                try await Task.sleep(for: .milliseconds(20))
                let counts = try await client.counts()
                if counts == last { return counts }
                last = counts
            }
            throw BenchError("Redis does not come to rest")
        }

        private static func wait(_ what: String, until condition: @Sendable () -> Bool) async throws {
            let deadline = ContinuousClock.now + .seconds(60)
            while !condition() {
                guard ContinuousClock.now < deadline else { throw BenchError("\(what) did not come") }
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }
}
