import MockProvider
import Perennial
import PerennialServers
import RedisStore
import RefreshCore
import ServiceLifecycle
import Testing

/// Limits, pauses, broken providers and dead tokens, with whole instances on a real Redis and real HTTP.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ThrottleTests {
    private static let tokens = #"{"access_token":"at","refresh_token":"rt","expires_in":3600,"token_type":"Bearer"}"#

    /// Retry-After, as a number and as a date of the provider's own clock (RFC 9110 §10.2.3).
    private static func pause(seconds: Int, form: Int) -> [String] {
        let end = seconds < 10 ? "0\(seconds)" : "\(seconds)"
        return form == 0
            ? ["Retry-After: \(seconds)"]
            : ["Date: Sat, 21 Nov 2026 08:00:00 GMT", "Retry-After: Sat, 21 Nov 2026 08:00:\(end) GMT"]
    }

    @Test(arguments: [429, 503, 403, 400], [0, 1])
    func retryAfterPausesTheProviderForAllInstances(status: Int, form: Int) async throws {
        // A 400 says what it is by its code, for which the provider has a rule.
        let body = status == 400 ? #"{"error":"busy_now"}"# : ""
        let server = try await AnsweringServer.start { _, number in
            number == 0
                ? AnsweringServer.response(status, headers: Self.pause(seconds: 30, form: form), json: body)
                : AnsweringServer.response(200, json: Self.tokens)
        }
        let setup = Fleet.Setup(
            instances: 2, provider: ["rotation: reusable", "errors: { throttled: [busy_now] }"],
            tokenURL: "http://127.0.0.1:\(server.port)/token")
        try await Fleet.run(setup) { fleet in
            let ids = try await fleet.add(2, lifetime: .seconds(-10))
            let first = await #expect(throws: RefreshFailure.self) {
                _ = try await fleet.instances[0].reader.token(TokenRequest(account: ids[0]))
            }
            #expect(first?.code == .providerThrottled)
            // The other account on the other instance is not tried, and the failure says until when.
            let second = await #expect(throws: RefreshFailure.self) {
                _ = try await fleet.instances[1].reader.token(TokenRequest(account: ids[1]))
            }
            #expect(second?.code == .providerThrottled)
            let wait = try #require(second?.retryAt) - fleet.instances[1].time.wall()
            #expect(wait > .zero && wait <= .seconds(30))
            #expect(server.received.count == 1)
            let condition = try #require(
                try await fleet.instances[1].providerMonitor.conditions(of: [Fleet.provider]).first)
            #expect(condition.cause?.kind == .throttled && condition.pausedUntil != nil)
            let accounts = try await fleet.instances[0].directory.list(after: nil, limit: 10).accounts
            #expect(accounts.allSatisfy { $0.failures == 0 && $0.status == .active })
        }
        await server.stop()
    }

    @Test(arguments: [0, 1])
    func thePauseEndsWhenTheProviderSaidAndNotBefore(form: Int) async throws {
        let server = try await AnsweringServer.start { _, number in
            number == 0
                ? AnsweringServer.response(429, headers: Self.pause(seconds: 4, form: form))
                : AnsweringServer.response(200, json: Self.tokens)
        }
        let setup = Fleet.Setup(
            instances: 2, provider: ["rotation: reusable"], tokenURL: "http://127.0.0.1:\(server.port)/token")
        try await Fleet.run(setup) { fleet in
            let ids = try await fleet.add(2, lifetime: .seconds(-10))
            let start = ContinuousClock.now
            await #expect(throws: RefreshFailure.self) {
                _ = try await fleet.instances[0].reader.token(TokenRequest(account: ids[0]))
            }
            try await eventually("the pause ends") {
                (try? await fleet.instances[1].reader.token(TokenRequest(account: ids[1]))) != nil
            }
            #expect(ContinuousClock.now - start > .seconds(3.5))
            #expect(server.received.count == 2)
        }
        await server.stop()
    }

    /// The provider allows so many; three instances with 60 expired accounts and their callers keep to it together.
    @Test func aRateLimitHoldsForTheWholeFleet() async throws {
        let setup = Fleet.Setup(
            provider: ["rotation: single_use", "rate_limit: { requests: 10, per: 2s, burst: 2 }"],
            refresh: "{ proactive: true }", leaseTTL: "60s")
        try await Fleet.run(setup) { fleet in
            let start = fleet.instances[0].time.wall()
            let ids = try await fleet.add(60, lifetime: .seconds(-10))
            // Some of them are asked for, on instances that do not lead as well.
            let asked = Array(ids.prefix(8))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, id) in asked.enumerated() {
                    let reader = fleet.instances[number % 3].reader
                    group.addTask { _ = try await reader.token(TokenRequest(account: id)) }
                }
                try await group.waitForAll()
            }
            try await eventually("all are refreshed", within: .seconds(120)) { fleet.mock.totals().refreshes == 60 }
            let uses = fleet.mock.ledger().uses.sorted { $0.at < $1.at }
            #expect(uses.count == 60)
            // Measured where requests arrive, which may be as late as it likes: none comes before its time.
            for (number, use) in uses.enumerated() {
                let earliest = start + .milliseconds(200 * (number - 4))
                #expect(use.at.milliseconds >= earliest.milliseconds, "request \(number)")
            }
            #expect(fleet.mock.totals().duplicateSpends == 0)
            // Those with callers did not wait for the others.
            for id in asked {
                let place = try #require(uses.firstIndex { $0.account == id.rawValue })
                #expect(place < 40)
            }
            let accounts = try await fleet.instances[0].directory.list(after: nil, limit: 100).accounts
            #expect(accounts.allSatisfy { $0.failures == 0 && $0.status == .active })
        }
    }

    /// A provider that answers only 502 gets the refresh tokens of a handful of 1,000 due accounts.
    @Test func aBrokenProviderIsSparedTheTokensOfTheOthers() async throws {
        let setup = Fleet.Setup(faults: ["error-before:502"], refresh: "{ proactive: true }", leaseTTL: "60s")
        try await Fleet.run(setup) { fleet in
            let start = ContinuousClock.now
            let ids = try await fleet.add(1000, lifetime: .seconds(-10))
            let monitor = fleet.instances[2].providerMonitor
            try await eventually("the circuit opens") {
                try await monitor.conditions(of: [Fleet.provider]).first?.circuit == .open
            }
            for id in ids.prefix(100) {
                let failure = await #expect(throws: RefreshFailure.self) {
                    _ = try await fleet.instances[1].reader.token(TokenRequest(account: id))
                }
                #expect(failure?.retryAt != nil)
            }
            try await Task.sleep(for: .seconds(3))
            var inDoubt = 0
            var after: AccountID?
            repeat {
                let page = try await fleet.instances[0].directory.list(after: after, limit: 500)
                inDoubt += page.accounts.count { $0.intent != nil }
                after = page.next
            } while after != nil
            let requests = fleet.mock.totals().tokenRequests
            // Every now and then one is tried.
            let most = 12 + Int((ContinuousClock.now - start) / .seconds(5))
            #expect(inDoubt >= 5 && inDoubt <= most, "\(inDoubt) refresh tokens are in doubt")
            #expect(requests <= most)
            // It works again: one goes first, and then the others follow.
            try fleet.mock.setFaults([])
            try await eventually("the others are refreshed", within: .seconds(90)) {
                fleet.mock.totals().refreshes >= 980
            }
            #expect(try await monitor.conditions(of: [Fleet.provider]).first?.circuit == .closed)
            #expect(fleet.mock.totals().duplicateSpends == 0)
        }
    }

    /// Trap 11: whatever is tried, from wherever, a dead token leaves the house once.
    @Test func aDeadTokenIsSentExactlyOnce() async throws {
        try await Fleet.run { fleet in
            let seeded = fleet.mock.seedAccounts(count: 1, prefix: "dead-", lifetime: .seconds(-10))
            let dead = try #require(seeded.first)
            let id = try AccountID(dead.id)
            func put(on instance: Instance, force: Bool = false, as id: AccountID) async throws -> PutReply {
                try await instance.directory.put(
                    try instance.intake.admit(
                        id: id, provider: Fleet.provider, name: nil,
                        credentials: Credentials(refreshToken: Secret(dead.refreshToken)), overwrite: .always,
                        isForced: force, now: instance.time.wall()))
            }
            _ = try await put(on: fleet.instances[0], as: id)
            _ = fleet.mock.revoke(account: dead.id)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for round in 0..<300 {
                    let instance = fleet.instances[round % 3]
                    group.addTask {
                        switch round % 4 {
                        case 0, 1: _ = try? await instance.reader.token(TokenRequest(account: id))
                        case 2:
                            let account = try await instance.directory.read(id)
                            _ = await instance.coordinator.refresh(
                                id, provider: Fleet.provider,
                                demand: .newerThan(account?.generation ?? Generation(0)), ignoresBackoff: true)
                        default: _ = await instance.coordinator.recoverLeftovers()
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(fleet.mock.totals().tokenRequests == 1)
            // The same token again, over the account, after its removal, and under another name.
            for (round, instance) in fleet.instances.enumerated() {
                guard case .refusedBefore = try await put(on: instance, as: id) else {
                    Issue.record("round \(round): taken in")
                    return
                }
                _ = try? await instance.reader.token(TokenRequest(account: id))
            }
            #expect(
                try await put(on: fleet.instances[1], as: try AccountID("other-name")) == .tokenInUse(by: id))
            _ = try await fleet.instances[2].directory.remove(id, ifGeneration: nil)
            guard case .refusedBefore = try await put(on: fleet.instances[0], as: id) else {
                Issue.record("taken in after the removal")
                return
            }
            #expect(fleet.mock.totals().tokenRequests == 1)
            // A new log-in forgets all of it.
            let fresh = try #require(
                fleet.mock.seedAccounts(count: 1, prefix: "dead-", lifetime: .seconds(-10)).first)
            let reply = try await fleet.instances[1].directory.put(
                try fleet.instances[1].intake.admit(
                    id: id, provider: Fleet.provider, name: nil,
                    credentials: Credentials(refreshToken: Secret(fresh.refreshToken)), overwrite: .always,
                    now: fleet.instances[1].time.wall()))
            guard case .created = reply else {
                Issue.record("\(reply)")
                return
            }
            try await eventually("the account lives") {
                (try? await fleet.instances[2].reader.token(TokenRequest(account: id))) != nil
            }
            let account = try #require(try await fleet.instances[0].directory.read(id))
            #expect(account.failures == 0 && account.status == .active)
        }
    }

    @Test func aFallbackTokenStandsInAndGivesWay() async throws {
        let setup = Fleet.Setup(
            instances: 2, faults: ["error-before:500"],
            provider: ["rotation: reusable", "backoff: { base: 100ms, cap: 500ms }", "circuit_breaker: off"],
            top: "fallback: { accounts: { account-1: { token: stand-in, token_type: MAC } } }\n")
        try await Fleet.run(setup) { fleet in
            let start = ContinuousClock.now
            _ = try await fleet.add(1, lifetime: .seconds(-10))
            let id = try AccountID("account-1")
            for instance in fleet.instances {
                guard
                    case .fallback(let token, _, let failure) = try await instance.reader.serve(
                        TokenRequest(account: id))
                else {
                    Issue.record("no stand-in")
                    return
                }
                #expect(token == FallbackToken(token: Secret("stand-in"), tokenType: "MAC"))
                #expect(failure.retryAt != nil)
            }
            for _ in 0..<500 { _ = try await fleet.instances[0].reader.serve(TokenRequest(account: id)) }
            let requests = fleet.mock.totals().tokenRequests
            // As often as its back-off allows, whoever asks: two or four times a second.
            #expect(Double(requests) < 15 + 5 * ((ContinuousClock.now - start) / .seconds(1)))
            try fleet.mock.setFaults([])
            for instance in fleet.instances {
                try await eventually("its own token is back") {
                    guard case .account = try await instance.reader.serve(TokenRequest(account: id)) else {
                        return false
                    }
                    return true
                }
            }
        }
    }
}
