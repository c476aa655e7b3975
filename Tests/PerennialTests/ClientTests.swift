import MockProvider
import NIOConcurrencyHelpers
import Perennial
import ServiceLifecycle
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The library as a backend uses it, on a real redis-server and a provider that is asked over HTTP.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct ClientTests {
    @Test func aTokenInThreeLines() async throws {
        try await ClientSite.run { site in
            let perennial = try await Perennial.connect(site.configuration, logger: ClientSite.quiet)
            let alice = try await site.add("alice", to: perennial)
            let token: Perennial.AccessToken = try await perennial.accessToken(for: alice)
            #expect(try await site.call(token) == 200)
            #expect(token.account == alice)
            #expect(token.generation == 1)
            #expect(try #require(token.expiresAt) > Date.now)
            #expect(perennial.obstacle == nil)
            await perennial.shutdown()
            // Not even what is in memory: nobody tells any more of what becomes of it.
            for account in [alice, "unheard-of"] {
                let error = await #expect(throws: PerennialError.self) { try await perennial.accessToken(for: account) }
                #expect(error?.code == .shuttingDown)
            }
        }
    }

    /// What was stored is there when the next process of the state directory connects.
    @Test func accountsOutliveTheProcess() async throws {
        try await ClientSite.run { site in
            let names = NIOLockedValueBox<String?>(nil)
            try await site.withClient { client in
                let name = try await site.add("alice", to: client)
                names.withLockedValue { $0 = name }
            }
            let alice = try #require(names.withLockedValue { $0 })
            try await site.withClient { client in
                let token = try await client.accessToken(for: alice)
                #expect(token.generation == 1)
            }
        }
    }

    @Test func aRefusedTokenIsReplacedAndTheCallMadeOnceMore() async throws {
        try await ClientSite.run { site in
            try await site.withClient { client in
                let alice = try await site.add("alice", to: client, accessToken: "revoked-long-ago")
                var generations: [Int64?] = []
                let status = try await client.withToken(for: alice) { token in
                    generations.append(token.generation)
                    return try await site.call(token)
                }
                #expect(status == 200)
                #expect(generations == [1, 2])
                #expect(site.mock.totals().refreshes == 1)
            }
        }
    }

    /// However many calls find out at once.
    @Test func twoHundredRefusalsMakeOneRefresh() async throws {
        try await ClientSite.run { site in
            try await site.withClient { client in
                let alice = try await site.add("alice", to: client, accessToken: "revoked-long-ago")
                let answered = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<200 {
                        group.addTask {
                            try await client.withToken(for: alice) { token in
                                if token.generation == 1 { throw TokenRefused() }
                                return 200
                            }
                        }
                    }
                    return try await group.reduce(into: 0) { count, status in count += status == 200 ? 1 : 0 }
                }
                #expect(answered == 200)
                #expect(site.mock.totals().refreshes == 1)
            }
        }
    }

    @Test func aSecondRefusalAndAnyOtherErrorAreTheCallers() async throws {
        struct Unrelated: Error {}
        try await ClientSite.run { site in
            try await site.withClient { client in
                let alice = try await site.add("alice", to: client)
                var calls = 0
                await #expect(throws: TokenRefused("no scope")) {
                    try await client.withToken(for: alice) { _ in
                        calls += 1
                        throw TokenRefused("no scope")
                    }
                }
                #expect(calls == 2)
                #expect(site.mock.totals().refreshes == 1)
                await #expect(throws: Unrelated.self) {
                    try await client.withToken(for: alice) { _ in
                        calls += 1
                        throw Unrelated()
                    }
                }
                await #expect(throws: QuotaExhausted.self) {
                    try await client.withToken(for: alice) { _ in
                        calls += 1
                        throw QuotaExhausted()
                    }
                }
                #expect(calls == 4)
                #expect(site.mock.totals().refreshes == 1)
            }
        }
    }

    @Test func errorsSayWhatToDo() async throws {
        try await ClientSite.run { site in
            try await site.withClient { client in
                let unknown = await #expect(throws: PerennialError.self) {
                    try await client.accessToken(for: "nobody")
                }
                #expect(unknown?.code == .accountNotFound)
                #expect(unknown?.remedy == .addAccount)
                let impossible = await #expect(throws: PerennialError.self) {
                    try await client.accessToken(for: "no body")
                }
                #expect(impossible?.code == .invalidArgument)

                let alice = try await site.add("alice", to: client)
                #expect(site.mock.revoke(account: alice) == 1)
                let dead = await #expect(throws: PerennialError.self) {
                    try await client.withToken(for: alice) { token in try await site.call(token) }
                }
                #expect(dead?.code == .reauthRequired)
                #expect(dead?.remedy == .logInAgain)
                #expect(dead?.account == alice)
                #expect(dead?.underlying is TokenRefused)
                #expect("\(try #require(dead))".contains("log in again"))

                // A new log-in heals it.
                let fresh = try #require(site.mock.seedAccounts(count: 1, prefix: "fresh").first)
                try await client.addAccount(alice, provider: "mock", refreshToken: fresh.refreshToken)
                #expect(try await client.withToken(for: alice) { try await site.call($0) } == 200)
            }
        }
    }

    @Test func whatCannotBeAddedSaysWhy() async throws {
        try await ClientSite.run { site in
            try await site.withClient { client in
                let provider = await #expect(throws: PerennialError.self) {
                    try await client.addAccount("alice", provider: "acme", refreshToken: "refresh")
                }
                #expect(provider?.code == .unknownProvider)
                #expect(provider?.message.contains("known: mock") == true)
                let token = await #expect(throws: PerennialError.self) {
                    try await client.addAccount("alice", provider: "mock", refreshToken: "in two\r\nlines")
                }
                #expect(token?.code == .invalidArgument)
                try await client.addAccount("alice", provider: "mock", refreshToken: "shared")
                let shared = await #expect(throws: PerennialError.self) {
                    try await client.addAccount("bob", provider: "mock", refreshToken: "shared")
                }
                #expect(shared?.message.contains("alice") == true)
                #expect(shared?.message.contains("shared") == false)
            }
        }
    }

    /// A caller that goes away gets out at once; the rotation it has caused lands.
    @Test func aCancelledCallerLeavesTheRefreshAlone() async throws {
        try await ClientSite.run(latency: .seconds(12)) { site in
            try await site.withClient { client in
                let alice = try await site.add("alice", to: client)
                let token = try await client.accessToken(for: alice)
                let caller = Task { try await client.accessToken(replacing: token) }
                // Under way, and not answered for some seconds.
                try await eventually("it is asked for") { site.mock.totals().tokenRequests == 1 }
                caller.cancel()
                await #expect(throws: CancellationError.self) { try await caller.value }
                #expect(try await client.accessToken(for: alice).generation == 1)
                try await eventually("the refresh has landed") {
                    try await client.accessToken(for: alice).generation == 2
                }
                #expect(site.mock.totals().refreshes == 1)
            }
        }
    }

    /// As one service of the host's group, asked for a token before Redis is there.
    @Test func aServiceOfTheHostsGroup() async throws {
        try await ClientSite.run { site in
            let client = try await PerennialClient(site.configuration, logger: ClientSite.quiet)
            let group = ServiceGroup(
                configuration: .init(
                    services: [
                        .init(service: client),
                        .init(
                            service: Worker {
                                let alice = try await site.add("alice", to: client)
                                #expect(try await client.withToken(for: alice) { try await site.call($0) } == 200)
                            }, successTerminationBehavior: .gracefullyShutdownGroup),
                    ], logger: ClientSite.quiet))
            try await group.run()
            #expect(site.mock.totals().resourceOK == 1)
        }
    }

    private struct Worker: Service {
        let work: @Sendable () async throws -> Void
        func run() async throws { try await work() }
    }

    /// One that was put together and never ran leaves no redis-server behind.
    @Test func shutDownWithoutEverRunning() async throws {
        try await ClientSite.run { site in
            let client = try await PerennialClient(site.configuration, logger: ClientSite.quiet)
            let pid = try #require(
                try? String(contentsOfFile: "\(site.directory)/redis/redis.pid", encoding: .utf8))
            await client.shutdown()
            try await eventually("redis-server is gone") {
                let stat = try? String(
                    contentsOfFile: "/proc/\(pid.filter(\.isNumber))/stat", encoding: .utf8)
                return stat?.contains(") Z ") ?? true
            }
        }
    }

    /// Nor does one that is dropped, because a service after it could not be made.
    @Test func droppedWithoutEverRunning() async throws {
        try await ClientSite.run { site in
            var client: PerennialClient? = try await PerennialClient(site.configuration, logger: ClientSite.quiet)
            #expect(client?.obstacle != nil)
            let pid = try #require(
                try? String(contentsOfFile: "\(site.directory)/redis/redis.pid", encoding: .utf8))
            client = nil
            try await eventually("redis-server is gone") {
                let stat = try? String(
                    contentsOfFile: "/proc/\(pid.filter(\.isNumber))/stat", encoding: .utf8)
                return stat?.contains(") Z ") ?? true
            }
        }
    }

    @Test func aRedisThatIsAwayIsSaid() async throws {
        try await ClientSite.run { site in
            var configuration = site.configuration
            configuration.redisURL = "unix://\(site.directory)/nowhere.sock"
            let noKey = await #expect(throws: PerennialError.self) {
                try await Perennial.connect(configuration, logger: ClientSite.quiet)
            }
            #expect(noKey?.code == .start)
            configuration.sealingKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
            let away = await #expect(throws: PerennialError.self) {
                try await Perennial.connect(configuration, logger: ClientSite.quiet, patience: .milliseconds(300))
            }
            #expect(away?.code == .storeUnavailable)
            #expect(away?.retryAfter != nil)
        }
    }
}

struct NotInTime: Error, CustomStringConvertible {
    let description: String
}

/// Waits until `condition` holds.
func eventually(_ what: String, _ condition: @Sendable () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw NotInTime(description: "not in time: \(what)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}
