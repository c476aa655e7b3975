import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import Testing

/// The rate limit of a provider, counted by the scripts for all instances.
@Suite(.timeLimit(.minutes(10)))
struct RateLimitTests {
    /// One at once, and then one every 60 s: the longest for which a slot is promised.
    private static let slow = RateLimit(requests: 1, per: .seconds(60), burst: 1)

    private func begin(
        _ fixture: StoreFixture, _ id: String, demand: RefreshDemand? = nil, limit: RateLimit = slow,
        attempt: String? = nil, ignoresBackoff: Bool = false
    ) async throws -> BeginReply {
        let account = try AccountID(id)
        let generation = try await fixture.directory.read(account)?.generation ?? Generation(0)
        return try await fixture.store.begin(
            BeginRequest(
                account: account, provider: StoreFixture.provider, demand: demand ?? .newerThan(generation),
                attempt: AttemptID(rawValue: attempt ?? "attempt-\(id)"), origin: StoreFixture.instance,
                lockTTL: .seconds(30), ignoresBackoff: ignoresBackoff, rateLimit: limit))
    }

    /// As if so much time had passed that the next slot has come.
    private func reachNextSlot(_ fixture: StoreFixture) async throws {
        let (key, field) = (fixture.link.keys.pauses(0), "rate \(StoreFixture.provider.rawValue)")
        let text = try #require(try await fixture.redis("HGET", key, field).string)
        let state = text.split(separator: " ").compactMap { Int64($0) }
        try #require(state.count == 2)
        let now = try await fixture.now().milliseconds * 1000
        _ = try await fixture.redis("HSET", key, field, "\(now) \(state[1] - state[0] + now)")
    }

    @Test(arguments: [false, true])
    func theNextOneComesLaterAndIsNotBlamed(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            try await fixture.add("a", dueIn: .zero)
            try await fixture.add("b", access: "at", dueIn: .zero)
            let first = try await fixture.timed { try await begin(fixture, "a", demand: .whenDue).word }
            #expect(first.value == "granted")
            guard case .limited(let snapshot, let until, false) = try await begin(fixture, "b", demand: .whenDue)
            else {
                Issue.record("two at once")
                return
            }
            #expect(first.times.later(by: .seconds(60)).contains(until))
            #expect(snapshot.failures == 0 && snapshot.lastFault == nil && snapshot.status == .active)
            // The schedule has it for the time at which there is room.
            let batch = try await fixture.timed {
                try await fixture.schedule.takeDue(limits: [StoreFixture.provider: 5], hold: .seconds(600))
            }
            let rest = try #require(batch.value.nextDueIn)
            #expect(batch.times.later(by: rest).contains(until) || isFrugal)
            // The same attempt whose reply was lost is not counted again, nor is another provider's.
            #expect(try await begin(fixture, "a").word == "granted")
        }
    }

    @Test func aCallerWithoutATokenIsPromisedTheNextSlotAndGoesFirst() async throws {
        try await StoreFixture.run { fixture in
            for id in ["a", "b", "c", "d"] { try await fixture.add(id, access: id == "b" ? nil : "at", dueIn: .zero) }
            #expect(try await begin(fixture, "a").word == "granted")
            guard case .limited(_, let slot, true) = try await begin(fixture, "b") else {
                Issue.record("no promise")
                return
            }
            guard case .limited(_, let proactive, false) = try await begin(fixture, "c", demand: .whenDue) else {
                Issue.record("the schedule went first")
                return
            }
            #expect(proactive >= slot + .seconds(60))
            try await reachNextSlot(fixture)
            #expect(try await begin(fixture, "d", demand: .whenDue).word == "limited")
            #expect(try await begin(fixture, "b").word == "granted")
        }
    }

    @Test func aThousandDueAccountsKeepToTheLimit() async throws {
        try await StoreFixture.run { fixture in
            let limit = RateLimit(requests: 20, per: .seconds(10), burst: 5)
            for number in 0..<60 { try await fixture.add("account-\(number)", dueIn: .zero) }
            let began = ContinuousClock.now
            var granted = 0
            for number in 0..<60 where try await begin(fixture, "account-\(number)", limit: limit).word == "granted" {
                granted += 1
            }
            let seconds = (ContinuousClock.now - began).inSeconds
            #expect(granted >= 5 && Double(granted) <= 5 + seconds * 1.6 + 1)
        }
    }

    @Test func aLimitThatIsNotSetCostsNothingAndOneThatIsCostsOneWrite() async throws {
        try await StoreFixture.run(isFrugal: true) { fixture in
            try await fixture.add("a")
            try await fixture.add("b")
            let key = fixture.link.keys.pauses(0)
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
            #expect(try await fixture.redis("EXISTS", key).int == 0)
            #expect(try await begin(fixture, "b").word == "granted")
            #expect(try await fixture.redis("HLEN", key).int == 1)
        }
    }

    /// The partition that counts is away, that of the account is not.
    @Test func whatCannotBeCountedGoesOn() async throws {
        try await StoreFixture.run(partitions: 8) { fixture in
            let keys = fixture.link.keys
            let home = keys.home(of: StoreFixture.provider)
            let elsewhere = try #require(
                try (0..<100).map { "account-\($0)" }.first { keys.partitionNumber(try AccountID($0)) != home })
            try await fixture.add(elsewhere)
            _ = try await fixture.redis("SET", keys.pauses(home), "not a hash")
            let claim = try #require(try await begin(fixture, elsewhere).claim)
            #expect(claim.refreshToken.reveal() == "refresh-1")
            #expect(try await fixture.commit(elsewhere, "attempt-\(elsewhere)", generation: 1) != .orphaned)
            #expect(try await fixture.account(elsewhere)?.failures == 0)
        }
    }

    @Test func inManyPartitionsOnePlaceCountsForAll() async throws {
        try await withRedisCluster { cluster in
            try await StoreFixture.run(on: cluster, prefix: "limits") { fixture in
                for number in 0..<12 { try await fixture.add("account-\(number)", dueIn: .zero) }
                let partitions = Set(
                    try (0..<12).map { fixture.link.keys.partitionNumber(try AccountID("account-\($0)")) })
                #expect(partitions.count > 3)
                var words: [String: Int] = [:]
                for number in 0..<12 {
                    let reply = try await begin(fixture, "account-\(number)")
                    words[reply.word, default: 0] += 1
                    guard case .overLimit(let claim, let until, _) = reply else { continue }
                    // What the machine does then: the claim is given back, and nobody is blamed.
                    let settled = try await fixture.store.settle(
                        SettleRequest(
                            account: claim.account.id, provider: StoreFixture.provider, attempt: claim.attempt,
                            generation: claim.generation, disposition: .limited,
                            fault: RefreshFault(kind: .throttled, message: "rate limit"),
                            retryAfter: until - (try await fixture.now())))
                    guard case .settled(let snapshot) = settled else {
                        Issue.record("\(settled)")
                        return
                    }
                    #expect(snapshot.intent == nil && snapshot.failures == 0 && snapshot.lastFault == nil)
                    #expect(snapshot.nextAttemptAt.map { $0 > until - .seconds(2) } == true)
                }
                #expect(words["granted"] == 1, "\(words)")
                #expect(words["over the limit"] == 11, "\(words)")
            }
        }
    }
}
