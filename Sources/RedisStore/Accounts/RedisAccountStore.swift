import Logging
import RedisClient
import RefreshCore
import Sealing

/// Accounts in Redis: BEGIN, COMMIT and SETTLE, each one script and one round trip.
public struct RedisAccountStore: AccountStore {
    let link: RedisLink
    let origin: InstanceID
    private let health: ProviderHealth
    private let logger: Logger

    /// - Parameter logger: nil for none.
    public init(link: RedisLink, origin: InstanceID, logger: Logger? = nil) {
        self.link = link
        self.origin = origin
        self.logger = logger ?? Logger(label: "perennial.store") { _ in SwiftLogNoOpLogHandler() }
        health = ProviderHealth(link: link, origin: origin)
    }

    private var keys: Keys { link.keys }

    // MARK: BEGIN

    public func begin(_ request: BeginRequest) async throws(StoreError) -> BeginReply {
        let id = request.account
        let partition = keys.partitionNumber(id)
        let demand: (word: String, seen: Int64) =
            switch request.demand {
            case .newerThan(let generation): ("newer", generation.rawValue)
            case .whenDue: ("due", -1)
            }
        // In one partition BEGIN counts; in many there is one place that counts for all.
        let limit = keys.partitions == 1 ? request.rateLimit : nil
        let (reply, confirmation) = try await link.evaluateDurably(
            link.isFrugal ? ScriptLibrary.frugalBegin : ScriptLibrary.begin,
            keys: [keys.account(id), keys.lock(id), keys.due(partition, request.provider), keys.pauses(partition)],
            arguments: [
                id.rawValue, request.provider.rawValue, demand.word, demand.seen, request.attempt.rawValue,
                request.origin.rawValue, request.lockTTL.wholeMilliseconds, request.recovering?.rawValue ?? "",
                request.ignoresBackoff ? 1 : 0, request.floor.map { String($0.rawValue) } ?? "",
                link.watchesFailover ? request.failoverHold.wholeMilliseconds : 0, link.isFrugal ? 1 : 0,
                limit.map { String($0.intervalMicroseconds) } ?? "",
                limit.map { String($0.toleranceMicroseconds) } ?? "",
            ], writes: { $0.first?.string == "GRANTED" })
        guard reply.count >= 5, let word = reply[0].string, let now = link.align(reply, at: 1) else {
            throw .malformed("BEGIN")
        }
        if word == "MISSING" { return .missing }
        guard let fields = AccountFields(reply[4]) else { throw .malformed("BEGIN") }
        if word == "GRANTED" {
            let claim: RefreshClaim
            do {
                claim = try self.claim(request, reply, fields)
            } catch {
                await giveBack(request, fields, because: error)
                throw error
            }
            if reply[3].string == "first" { await link.spreadFirst(claim, lockTTL: request.lockTTL, from: partition) }
            if case .missing(let reason) = confirmation { return .undurable(claim, reason: reason) }
            return try await granted(claim, request)
        }
        let snapshot = try fields.snapshot(id, ring: link.ring)
        switch word {
        case "FRESH": return .fresh(snapshot)
        case "BLOCKED": return .blocked(snapshot)
        case "COOLING":
            let fault = snapshot.lastFault ?? RefreshFault(kind: .unsent, message: "an earlier refresh failed")
            return .cooling(snapshot, until: WallTime(milliseconds: reply[2].int ?? now.milliseconds), cause: fault)
        case "PAUSED":
            let cause = (reply[3].string ?? "").split(separator: " ", maxSplits: 1)
            let kind = cause.first.flatMap { RefreshFault.Kind(rawValue: String($0)) } ?? .throttled
            let message = cause.count > 1 ? String(cause[1]) : "the provider is paused"
            return .paused(
                snapshot, until: WallTime(milliseconds: reply[2].int ?? now.milliseconds),
                cause: RefreshFault(kind: kind, message: message))
        case "LIMITED":
            return .limited(
                snapshot, until: WallTime(milliseconds: reply[2].int ?? now.milliseconds),
                isPromised: reply[3].string == "1")
        case "HELD":
            return .held(snapshot, remaining: .milliseconds(max(0, reply[2].int ?? 0)))
        case "PENDING":
            guard let intent = fields.intent else { return .foreignIntent(snapshot) }
            return .pending(snapshot, intent, age: .milliseconds(max(0, reply[2].int ?? 0)))
        case "FOREIGN": return .foreignIntent(snapshot)
        case "ROLLED_BACK": return .rolledBack(snapshot)
        case "QUARANTINED":
            let until = WallTime(milliseconds: reply[2].int ?? now.milliseconds)
            return .quarantined(
                snapshot, until: until,
                reason: "Redis has failed over or been restarted: no refresh token is spent for "
                    + "\(Int((until - now).inSeconds.rounded(.up))) s, until what it may have lost is back")
        default: throw .malformed("BEGIN")
        }
    }

    private func claim(
        _ request: BeginRequest, _ reply: ScriptReply, _ fields: AccountFields
    ) throws(StoreError) -> RefreshClaim {
        guard reply.count >= 6, let sealed = reply[5].bytes, let resends = reply[2].int else {
            throw .malformed("BEGIN")
        }
        let snapshot = try fields.snapshot(request.account, ring: link.ring)
        return RefreshClaim(
            account: snapshot, attempt: request.attempt, generation: snapshot.generation,
            refreshToken: try openRefreshToken(sealed, of: snapshot), isRecovery: resends > 0,
            followsFailures: reply[3].string?.isEmpty == false)
    }

    /// After how long an account is looked at again whose secrets cannot be opened.
    private static let unreadablePause = Duration.seconds(60)

    /// An account that cannot be read is not left with the mark of a spend that nobody can make: it fails by itself.
    private func giveBack(_ request: BeginRequest, _ fields: AccountFields, because error: StoreError) async {
        guard let generation = fields.generation, let provider = fields.provider else { return }
        _ = try? await settle(
            SettleRequest(
                account: request.account, provider: provider, attempt: request.attempt, generation: generation,
                disposition: .released, fault: RefreshFault(kind: .unsent, message: error.message),
                retryAfter: Self.unreadablePause))
    }

    /// How long the partition that counts may take: a claim has to be used within the send-by deadline.
    private static let slotPatience = Duration.seconds(1)

    /// Where a provider's accounts lie in many partitions its rate limit is counted in one of them, after the claim.
    private func granted(_ claim: RefreshClaim, _ request: BeginRequest) async throws(StoreError) -> BeginReply {
        guard keys.partitions > 1, let limit = request.rateLimit else { return .granted(claim) }
        let account = claim.account
        var isUrgent = claim.isRecovery || request.ignoresBackoff
        if case .newerThan = request.demand, !account.isValid(at: link.clock.wall()) { isUrgent = true }
        let reply: ScriptReply
        do {
            reply = try await link.evaluate(
                ScriptLibrary.takeSlot, keys: [keys.pauses(keys.home(of: account.provider))],
                arguments: [
                    account.provider.rawValue, limit.intervalMicroseconds, limit.toleranceMicroseconds,
                    isUrgent ? 1 : 0,
                ], timeout: Self.slotPatience)
        } catch {
            // The limit is no matter of safety, and whose partition is there does not suffer for the one that counts.
            logger.warning(
                "rate limit not counted, the refresh goes on: \(error.message)",
                metadata: ["account": "\(account.id)", "provider": "\(account.provider)"])
            return .granted(claim)
        }
        guard reply.count >= 3, let slot = reply[1].string else { throw .malformed("TAKE SLOT") }
        guard let until = Int64(slot) else { return .granted(claim) }
        return .overLimit(claim, until: WallTime(milliseconds: until), isPromised: reply[2].string == "1")
    }

    private func openRefreshToken(_ sealed: [UInt8], of snapshot: AccountSnapshot) throws(StoreError) -> Secret {
        do {
            return try link.ring.openSecret(
                sealed,
                at: .init(
                    account: snapshot.id, field: AccountField.refreshPlace, generation: snapshot.generation))
        } catch {
            throw StoreError(.sealing, "account \(snapshot.id): \(error.description)")
        }
    }

    // MARK: COMMIT

    public func commit(_ request: CommitRequest) async throws(StoreError) -> CommitReply {
        let id = request.account
        let partition = keys.partitionNumber(id)
        let next = request.generation.next
        let access: [UInt8]
        let refresh: [UInt8]
        do {
            access = try link.ring.seal(
                request.accessToken, at: .init(account: id, field: AccountField.accessPlace, generation: next))
            refresh = try link.ring.seal(
                request.refreshToken, at: .init(account: id, field: AccountField.refreshPlace, generation: next))
        } catch {
            throw StoreError(error)
        }
        let (reply, confirmation) = try await link.evaluateDurably(
            link.isFrugal ? ScriptLibrary.frugalCommit : ScriptLibrary.commit,
            keys: [
                keys.account(id), keys.lock(id), keys.due(partition, request.provider), keys.events(partition),
                keys.pauses(partition),
            ],
            arguments: [
                id.rawValue, request.provider.rawValue, request.attempt.rawValue, request.generation.rawValue, access,
                refresh, request.tokenType, request.expiresAt.milliseconds, request.obtainedAt.milliseconds,
                request.dueAt.milliseconds, origin.rawValue, request.isRecovery ? 1 : 0, keys.changes,
                request.occasion.rawValue, link.clock.wall().milliseconds, link.isFrugal ? 1 : 0,
                request.grant.map { String($0.endsAt.milliseconds) } ?? "",
                request.grant.map { String($0.since.milliseconds) } ?? "",
                request.grantStage.map { String($0.rawValue) } ?? "",
                request.grantEndsAt.map { String($0.milliseconds) } ?? "", request.clearsFailures ? 1 : 0,
                link.ring.sealPrefix,
            ], writes: { ["COMMITTED", "ALREADY"].contains($0.first?.string) })
        guard reply.count >= 3, let word = reply[0].string else {
            throw .malformed("COMMIT")
        }
        let wasMet = reply.count > 3 && reply[3].string == "1"
        if request.clearsFailures, word == "COMMITTED" { await link.spreadAnswer(request.provider, from: partition) }
        switch word {
        case "COMMITTED":
            await health.works(request.provider, wasMet: wasMet)
            if reply.count > 4, let proxy = reply[4].bytes, !proxy.isEmpty { await reseal(proxy, of: id) }
            return confirmation.confirming(.committed(enabled: reply[2].string == "1"))
        case "ALREADY":
            if wasMet { await health.works(request.provider, wasMet: true) }
            return confirmation.confirming(.already)
        case "SUPERSEDED": return .superseded
        case "BEHIND": return .behind(Generation(reply[2].int ?? 0))
        case "ORPHAN":
            return try await keepOrphan(request, newest: reply[2].int.map { Generation($0) }).confirming(.orphaned)
        default: throw .malformed("COMMIT")
        }
    }

    /// After a key rotation each refresh seals its tokens under the new key; the proxy, which is no part of that, follows
    /// once. Where that fails the next refresh does it.
    private func reseal(_ proxy: [UInt8], of id: AccountID) async {
        guard let setting = try? SealedProxy.open(proxy, of: id, ring: link.ring),
            let sealed = try? SealedProxy.seal(setting, of: id, ring: link.ring)
        else { return }
        _ = try? await link.evaluate(
            ScriptLibrary.resealProxy, keys: [keys.account(id)], arguments: [proxy, sealed])
    }

    /// - Parameter newest: the generation that stands in its way; nil for a removed account.
    private func keepOrphan(
        _ request: CommitRequest, newest: Generation?
    ) async throws(StoreError) -> RedisLink.Confirmation {
        let id = request.account
        let sealed = try OrphanRecord.seal(
            .init(request), account: id, generation: request.generation, ring: link.ring)
        let cause: Orphan.Cause = newest == nil ? .removed : .moved
        return try await link.evaluateDurably(
            ScriptLibrary.orphan, keys: [keys.orphans(id), keys.events(keys.partitionNumber(id))],
            arguments: [
                id.rawValue, request.provider.rawValue, request.attempt.rawValue, request.generation.rawValue, sealed,
                origin.rawValue, cause.rawValue, newest.map { String($0.rawValue) } ?? "-",
                keys.changes,
            ], writes: { _ in true }
        ).confirmation
    }

    // MARK: SETTLE

    public func settle(_ request: SettleRequest) async throws(StoreError) -> SettleReply {
        let id = request.account
        let partition = keys.partitionNumber(id)
        let attempt: [any RedisArgument] = [
            id.rawValue, request.provider.rawValue, request.attempt.rawValue, request.generation.rawValue,
            request.disposition.rawValue, request.fault.kind.rawValue, request.fault.message,
            request.retryAfter.wholeMilliseconds, request.pauseProvider.map { String($0.wholeMilliseconds) } ?? "",
            keys.changes, origin.rawValue, link.isFrugal ? 1 : 0, refusedFingerprint(request), request.health.rawValue,
        ]
        let followsFailures: [any RedisArgument] = [request.followsFailures ? 1 : 0]
        let reply = try await link.evaluate(
            link.isFrugal ? ScriptLibrary.frugalSettle : ScriptLibrary.settle,
            keys: [
                keys.account(id), keys.lock(id), keys.due(partition, request.provider), keys.orphans(id),
                keys.events(partition), keys.pauses(partition),
            ],
            arguments: attempt + RedisLink.arguments(of: request) + followsFailures)
        guard reply.count >= 3, let word = reply[0].string, link.align(reply, at: 1) != nil else {
            throw .malformed("SETTLE")
        }
        await link.spread(request, from: partition)
        // What is brought in late says nothing of the provider as it is now.
        if request.fault.kind == .misconfigured, request.health == .failing {
            await health.misconfigured(request.provider, request.fault.message)
        }
        if word == "MISSING" { return .missing }
        guard let fields = AccountFields(reply[2]) else { throw .malformed("SETTLE") }
        let snapshot = try fields.snapshot(id, ring: link.ring)
        switch word {
        case "SETTLED": return .settled(snapshot)
        case "MOVED": return .moved(snapshot)
        default: throw .malformed("SETTLE")
        }
    }

    private func refusedFingerprint(_ request: SettleRequest) -> String {
        guard let token = request.refusedToken.flatMap({ AccountCredential($0).refreshToken }) else { return "" }
        return link.ring.fingerprints(of: token, at: request.provider).first ?? ""
    }

    // MARK: Reading

    public func read(_ account: AccountID) async throws(StoreError) -> AccountSnapshot? {
        let key = keys.account(account)
        let reply = try await link.send(AccountField.hashCommand(key), key: key)
        guard let fields = AccountFields(reply) else { throw .malformed("account \(account)") }
        return fields.exists ? try fields.snapshot(account, ring: link.ring) : nil
    }

    /// Nil when there is no such account.
    func provider(of account: AccountID) async throws(StoreError) -> ProviderName? {
        let key = keys.account(account)
        guard let fields = AccountFields(try await link.send(AccountField.hashCommand(key), key: key)) else {
            throw .malformed("account \(account)")
        }
        guard fields.exists else { return nil }
        guard let provider = fields.provider else { throw .malformed("account \(account)") }
        return provider
    }
}
