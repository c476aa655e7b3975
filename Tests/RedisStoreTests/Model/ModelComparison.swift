import PerennialTesting
import RedisClient
import RedisStore
import RefreshCore

/// Performs random operations on a model and on a store, and remembers the first difference.
///
/// Nothing here runs out by itself: locks, pauses, the lease and the quarantine last for minutes and are ended on both
/// sides at once, so that a slow machine cannot make the two sides see different sides of a deadline.
struct ModelComparison {
    private static let long = Duration.seconds(600)
    private static let names = ["a", "b", "c"]
    private static let providers = ["acme", "beta"].map { try! ProviderName($0) }
    private static let instances = ["i1", "i2"].map { try! InstanceID($0) }

    let fixture: StoreFixture
    private(set) var difference: String?
    private(set) var repliesSeen: Set<String> = []
    private var model = ModelState()
    private var random: SplitMix64
    private var serial = 0
    /// Attempts that have been used, newest last.
    private var attempts: [AttemptID] = [AttemptID(rawValue: "t0")]
    /// Refresh tokens that accounts were put with, or that were refused, newest last.
    private var tokens: [Secret] = [Secret("r0")]
    /// The longest time between the moment that the model is given and the end of the operation on the store.
    private var slowest = Duration.zero
    private var began = ContinuousClock.now

    init(fixture: StoreFixture, seed: UInt64) {
        self.fixture = fixture
        self.random = SplitMix64(seed: seed)
    }

    /// - Returns: what was done.
    mutating func performNext() async throws -> String {
        serial += 1
        let id = try AccountID(pick(Self.names))
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<14: return try await put(id)
        case 14..<19: return try await edit(id)
        case 19..<21: return try await remove(id)
        case 21..<52: return try await begin(id)
        case 52..<67: return try await commit(id)
        case 67..<84: return try await settle(id)
        case 84..<88: return try await takeDue()
        case 88..<90: return try await reconcile()
        case 90..<94: return try await bid()
        default: return try await end(id)
        }
    }

    // MARK: Operations

    private mutating func put(_ id: AccountID) async throws -> String {
        let now = try await now()
        let hasAccess = oneIn(2)
        let life = Duration.seconds(pick([-60, 600, 3600]))
        // Some accounts have no refresh token, and a few share what they are made of.
        let fields = AccountCredential.fields(AccountFields(["user": Secret("u\(serial % 2)")])).secret
        let new = serial.isMultiple(of: 4) ? fields : Secret("r\(serial)")
        let token = oneIn(3) ? pick(Array(tokens.suffix(3))) : new
        tokens.append(token)
        let put = AccountPut(
            id: id, provider: oneIn(8) ? Self.providers[1] : Self.providers[0], name: oneIn(2) ? nil : "n\(serial)",
            credentials: Credentials(
                refreshToken: token, accessToken: hasAccess ? Secret("a\(serial)") : nil,
                expiresAt: hasAccess ? now + life : nil, grantExpiresAt: oneIn(3) ? now + .seconds(86_400) : nil),
            dueAt: now + .seconds(pick([-60, -30, 1200])), overwrite: pick([.always, .always, .ifNewer, .never]),
            ifGeneration: oneIn(6) ? generation(near: id) : nil, traits: oneIn(2) ? try traits() : .none,
            resumes: oneIn(6), attempt: oneIn(3) ? AttemptID(rawValue: oneIn(3) ? "login" : "p\(serial)") : nil,
            isForced: oneIn(4), mayShareToken: oneIn(3))
        let mine = model.put(put, expected: model.storedGeneration(id), now: now)
        let its = try await fixture.directory.put(put)
        if case .refusedBefore = mine, case .refusedBefore = its {
            // The two times differ by what an operation takes.
            compareWords("refused before", "refused before")
        } else {
            compareWords("\(mine.map { "\($0)" } ?? "retry")", "\(its)")
        }
        try await compareState(of: [id])
        return "put \(put.overwrite) \(id)"
    }

    private mutating func edit(_ id: AccountID) async throws -> String {
        let now = try await now()
        let edit = AccountEdit(
            name: oneIn(2) ? "n\(serial)" : nil, enabled: pick([nil, true, true, false]),
            traits: oneIn(4) ? .none : try traits(), ifGeneration: oneIn(6) ? generation(near: id) : nil)
        let mine = model.edit(id, edit, now: now)
        let its = try await fixture.directory.edit(id, edit)
        compareWords("\(mine)", "\(its)")
        try await compareState(of: [id])
        return "edit \(id) \(edit)"
    }

    private mutating func traits() throws -> TraitChanges {
        var merge: [String: String?] = [:]
        // Some accounts get nearly as many labels as there can be, so that a further one is too many now and then.
        for _ in 0..<pick([1, 12, 60]) {
            let key = "k\(Int.random(in: 0..<40, using: &random))"
            merge.updateValue(oneIn(6) ? nil : pick(["v\(serial)", "a=b", "é \"x\"", "="]), forKey: key)
        }
        let server = try ProxyServer("socks5h://p\(serial):1080", username: Secret("u"), password: Secret("w\(serial)"))
        return TraitChanges(
            pool: pick([.keep, .remove, .set(try PoolName("p\(serial)"))]),
            tier: pick([.keep, .remove, .set(try TierName("t\(serial)"))]),
            labels: pick([
                .keep, .merge(merge), .merge(merge), .merge(merge), .merge(merge), .merge(merge),
                .replace(oneIn(2) ? .none : try AccountLabels(["x": "y"])),
            ]),
            proxy: pick([.keep, .remove, .set(.direct), .set(.server(server))]))
    }

    private mutating func remove(_ id: AccountID) async throws -> String {
        let now = try await now()
        let required = oneIn(4) ? generation(near: id) : nil
        let mine = model.remove(id, ifGeneration: required, now: now)
        let its = try await fixture.directory.remove(id, ifGeneration: required)
        compareWords("\(mine)", "\(its)")
        try await compareState(of: [id])
        return "remove \(id)"
    }

    private mutating func begin(_ id: AccountID) async throws -> String {
        let isNew = !oneIn(4)
        if isNew { attempts.append(AttemptID(rawValue: "t\(serial)")) }
        let standing = model.account(id)?.intent?.attempt
        let request = BeginRequest(
            account: id, provider: oneIn(8) ? Self.providers[1] : Self.providers[0],
            demand: oneIn(3) ? .whenDue : .newerThan(generation(near: id)),
            attempt: isNew ? attempts[attempts.count - 1] : oldAttempt(of: id), origin: pick(Self.instances),
            lockTTL: Self.long, recovering: oneIn(2) ? standing : (oneIn(6) ? oldAttempt(of: id) : nil),
            ignoresBackoff: oneIn(2), floor: oneIn(6) ? generation(near: id) : nil,
            failoverHold: oneIn(2) ? Self.long : .zero,
            // Slots far apart, so that none becomes free by itself.
            rateLimit: oneIn(3) ? RateLimit(requests: 10, per: .seconds(500), burst: 2) : nil)
        let now = try await now()
        let mine = model.begin(request, now: now)
        let its = try await fixture.store.begin(request)
        compare(ReplyImage(mine), ReplyImage(its))
        try await compareState(of: [id])
        return "BEGIN \(request)"
    }

    private mutating func commit(_ id: AccountID) async throws -> String {
        let now = try await now()
        let request = CommitRequest(
            account: id, provider: oneIn(8) ? Self.providers[1] : Self.providers[0], attempt: oldAttempt(of: id),
            generation: generation(near: id), accessToken: Secret("a\(serial)"), refreshToken: Secret("r\(serial)"),
            tokenType: "Bearer", expiresAt: now + .seconds(3600), obtainedAt: now,
            dueAt: now + .seconds(pick([-10, 1800])), isRecovery: oneIn(3),
            occasion: pick([.first, .first, .again, .last]),
            grant: oneIn(3) ? GrantTerm(since: now, endsAt: now + .seconds(86_400)) : nil,
            grantStage: oneIn(2) ? pick([.lasting, .expiring, .lastDay]) : nil, grantEndsAt: now + .seconds(86_400),
            clearsFailures: oneIn(2))
        let mine = model.commit(request, now: now)
        if mine == .orphaned { model.keepOrphan(request) }
        let its = try await fixture.store.commit(request)
        compareWords("\(mine)", "\(its)")
        try await compareState(of: [id])
        return "COMMIT \(request.attempt) \(request.generation) \(request.occasion) of \(id)"
    }

    private mutating func settle(_ id: AccountID) async throws -> String {
        let disposition = pick([SettleRequest.Disposition.released, .released, .refused, .unresolved, .limited])
        let refused = disposition == .refused && !oneIn(4) ? pick(Array(tokens.suffix(3))) : nil
        let request = SettleRequest(
            account: id, provider: oneIn(8) ? Self.providers[1] : Self.providers[0], attempt: oldAttempt(of: id),
            generation: generation(near: id), disposition: disposition,
            fault: RefreshFault(kind: pick(RefreshFault.Kind.allCases), message: "what \(serial) said"),
            retryAfter: pick([.zero, .zero, Self.long]), pauseProvider: oneIn(10) ? Self.long : nil,
            refusedToken: refused, health: pick([.unknown, .answering, .failing, .failing]),
            circuitBreaker: oneIn(4)
                ? nil : CircuitBreaker(failures: pick([2, 3]), cap: Self.long), jitter: pick([0, 500, 1000]),
            followsFailures: oneIn(2))
        let now = try await now()
        let mine = model.settle(request, now: now)
        let its = try await fixture.store.settle(request)
        compare(ReplyImage(mine), ReplyImage(its))
        try await compareState(of: [id])
        return "SETTLE \(request)"
    }

    private mutating func takeDue() async throws -> String {
        let limits = Dictionary(uniqueKeysWithValues: Self.providers.map { ($0, Self.names.count) })
        let now = try await now()
        let mine = model.takeDue(limits: limits, hold: .seconds(60), now: now)
        let its = try await fixture.schedule.takeDue(limits: limits, hold: .seconds(60))
        compare(ReplyImage(mine), ReplyImage(its))
        try await compareState(of: try Self.names.map { try AccountID($0) })
        return "TAKE DUE"
    }

    private mutating func reconcile() async throws -> String {
        let now = try await now()
        let mine = model.reconcile(now: now)
        let its = try await fixture.schedule.reconcile()
        compareWords("\(mine) put back", "\(its) put back")
        try await compareState(of: try Self.names.map { try AccountID($0) })
        return "reconcile"
    }

    private mutating func bid() async throws -> String {
        let instance = pick(Self.instances)
        let epoch = model.leaseEpoch + pick([0, 0, -1])
        let now = try await now()
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
            let mine = model.acquireLease(instance, ttl: Self.long, now: now)
            compare(ReplyImage(mine), ReplyImage(try await fixture.leases.acquire(instance, ttl: Self.long)))
            return "bid of \(instance)"
        case 1:
            let mine = model.renewLease(instance, epoch: epoch, ttl: Self.long, now: now)
            let its = try await fixture.leases.renew(instance, epoch: epoch, ttl: Self.long)
            compareWords("renewed: \(mine)", "renewed: \(its)")
            return "renewal of \(instance), epoch \(epoch)"
        default:
            model.releaseLease(instance, epoch: epoch, now: now)
            try await fixture.leases.release(instance, epoch: epoch)
            let holder = try await fixture.leases.holder()
            compareWords(
                model.lease.map { "\($0.holder) \($0.epoch)" } ?? "-",
                holder.map { "\($0.instance) \($0.epoch)" } ?? "-")
            return "release by \(instance), epoch \(epoch)"
        }
    }

    /// Something runs out, or is lost, on both sides.
    private mutating func end(_ id: AccountID) async throws -> String {
        let keys = fixture.link.keys
        let partition = keys.partitionNumber(id)
        switch Int.random(in: 0..<8, using: &random) {
        case 0...2:
            model.locks[id] = nil
            _ = try await fixture.redis("DEL", keys.lock(id))
            return "the lock of \(id) ends"
        case 3:
            // As if a long time had passed: what the pauses were for stays known.
            let past = try await now() - .seconds(1)
            for provider in Self.providers {
                guard let pause = model.pauses[provider] else { continue }
                model.pauses[provider]?.until = past
                _ = try await fixture.redis(
                    "HSET", keys.pauses(partition), provider.rawValue,
                    "\(past.milliseconds) \(pause.cause.kind.rawValue) \(pause.cause.message)")
            }
            return "the pauses end"
        case 7 where oneIn(2):
            model.buckets.removeAll()
            for provider in Self.providers {
                _ = try await fixture.redis("HDEL", keys.pauses(partition), "rate \(provider)")
            }
            return "the rate limits are far away again"
        case 4:
            model.orphans[id] = nil
            _ = try await fixture.redis("DEL", keys.orphans(id))
            return "the orphans of \(id) are dropped"
        case 5:
            for provider in Self.providers {
                model.due[provider]?[id] = nil
                _ = try await fixture.redis("ZREM", keys.due(partition, provider), id.rawValue)
            }
            return "the schedule forgets \(id)"
        case 6:
            model.lease = nil
            _ = try await fixture.redis("DEL", keys.leader)
            return "the lease ends"
        default:
            // A server that took over just now, or one that has been there from the beginning.
            let isNew = oneIn(2)
            let now = try await now()
            let known = try await fixture.redis("INFO", "replication").string ?? ""
            let server = known.split(whereSeparator: \.isNewline).first { $0.hasPrefix("master_replid:") }
            let replid = server?.dropFirst("master_replid:".count) ?? ""
            model.inChargeSince = isNew ? now : nil
            _ = try await fixture.redis(
                "HSET", keys.pauses(partition), ":server", "\(replid) \(isNew ? now.milliseconds : 0)")
            return isNew ? "a failover" : "the failover is long ago"
        }
    }

    // MARK: Comparing

    private mutating func compareWords(_ mine: String, _ its: String) {
        repliesSeen.insert(mine)
        if mine != its, difference == nil { difference = "the model says \(mine), the store says \(its)" }
    }

    private mutating func compare(_ mine: ReplyImage, _ its: ReplyImage) {
        repliesSeen.formUnion(mine.words)
        slowest = max(slowest, ContinuousClock.now - began)
        // Each of two times in a difference may be off by one operation; TIME and the TTLs are cut to milliseconds.
        let tolerance = 2 * slowest.wholeMilliseconds + 4
        if mine.differs(from: its, tolerance: tolerance), difference == nil {
            difference = "the model says \(mine), the store says \(its)"
        }
    }

    private mutating func compareState(of ids: [AccountID]) async throws {
        slowest = max(slowest, ContinuousClock.now - began)
        let keys = fixture.link.keys
        let now = try await fixture.now()
        for id in ids {
            var mine = ReplyImage()
            mine.add(model.account(id))
            mine.add("lock \(model.liveLock(id, now: now).map { "\($0.attempt)" } ?? "-")")
            mine.add("orphans \(model.orphans[id]?.count ?? 0)")
            var its = ReplyImage()
            its.add(try await fixture.store.read(id))
            its.add("lock \(try await fixture.redis("GET", keys.lock(id)).string ?? "-")")
            its.add("orphans \(try await fixture.redis("LLEN", keys.orphans(id)).int ?? -1)")
            for provider in Self.providers {
                mine.add(model.due[provider]?[id])
                let score = try await fixture.redis("ZSCORE", keys.due(keys.partitionNumber(id), provider), id.rawValue)
                its.add(score.string.flatMap(Double.init).map { WallTime(milliseconds: Int64($0)) })
            }
            compare(mine, its)
        }
        try await compareProviders()
    }

    private mutating func compareProviders() async throws {
        var mine = ReplyImage()
        var its = ReplyImage()
        for provider in Self.providers {
            let breaker = model.breakers[provider]
            mine.add(breaker.map { "\($0.failures) \($0.trips) \($0.probe?.rawValue ?? "-")" } ?? "no breaker")
            mine.add(model.pauses[provider].map { "\($0.cause.kind.rawValue) \($0.cause.message)" } ?? "no pause")
            mine.add(model.pauses[provider]?.until)
            let key = fixture.link.keys.pauses(0)
            its.add(try await fixture.redis("HGET", key, "breaker \(provider)").string ?? "no breaker")
            let pause = try await fixture.redis("HGET", key, provider.rawValue).string
            let words = pause?.split(separator: " ", maxSplits: 1) ?? []
            its.add(words.count == 2 ? String(words[1]) : "no pause")
            its.add(words.first.flatMap { Int64($0) }.map { WallTime(milliseconds: $0) })
        }
        compare(mine, its)
    }

    // MARK: Chance

    /// The server's time, taken before an operation: what the model is given.
    private mutating func now() async throws -> WallTime {
        began = ContinuousClock.now
        return try await fixture.now()
    }

    private mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: elements.indices, using: &random)]
    }

    /// Mostly the account's own, else one beside it.
    private mutating func generation(near id: AccountID) -> Generation {
        let stored = model.storedGeneration(id).rawValue
        return Generation(max(0, stored + pick([0, 0, 0, 0, -1, 1])))
    }

    /// Mostly the one that stands, else one of the last.
    private mutating func oldAttempt(of id: AccountID) -> AttemptID {
        if let standing = model.account(id)?.intent?.attempt, !oneIn(4) { return standing }
        return pick(Array(attempts.suffix(6)))
    }
}
