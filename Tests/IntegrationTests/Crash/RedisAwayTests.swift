import MockProvider
import PerennialServers
import Testing

/// Redis goes away before and during a refresh, or does not take what it is told.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RedisAwayTests {
    @Test func awayBeforeBeginNothingIsSentAndGoodTokensAreServed() async throws {
        try await CrashSite.run(.init(times: .short)) { site in
            let (good, expired) = (try await site.add(), try await site.add(isExpired: true))
            try await eventually("the good token is remembered") { await site.read(good).status == 200 }
            await site.redis.kill()
            let answer = await site.read(good)
            #expect(answer.generation == 1)
            #expect(await site.isTaken(answer.token))
            let refused = await site.read(expired)
            #expect(refused.status == 503)
            #expect(try await site.mock.totals().tokenRequests == 0)
            try await site.redis.restart()
            try await eventually("the expired account has a token") { await site.read(expired).generation == 2 }
            #expect(try await site.mock.totals().tokenRequests == 1)
        }
    }

    @Test func awayAfterTheAnswerItIsStoredWhenRedisIsBack() async throws {
        try await CrashSite.run { site in
            let account = try await site.add(isExpired: true)
            site.holdAnswer()
            let caller = Task { await site.read(account) }
            try await site.waitForRotations(1)
            await site.redis.kill()
            site.letAnswersPass()
            let answer = await caller.value
            #expect(answer.status == 503)
            #expect(answer.detail?.contains("journal") == true)
            try await site.redis.restart()
            #expect(try await site.expectOneRefresh(account))
        }
    }

    /// Each time: nothing is sent, the caller is told why, and all is well as soon as Redis is.
    private func failClosed(
        _ setup: CrashSite.Setup = .init(), says words: String, harm: @Sendable (CrashSite) async throws -> Void,
        heal: @Sendable (CrashSite) async throws -> Void
    ) async throws {
        try await CrashSite.run(setup) { site in
            let account = try await site.add(isExpired: true)
            try await harm(site)
            // A connection that is cut may come first.
            try await eventually("the caller is told: \(words)") {
                let answer = await site.read(account)
                #expect(answer.status == 503)
                return answer.detail?.contains(words) == true
            }
            #expect(try await site.mock.totals().tokenRequests == 0)
            try await heal(site)
            #expect(try await site.expectOneRefresh(account))
        }
    }

    @Test func outOfMemory() async throws {
        try await failClosed(says: "OOM") { site in
            try await site.redis.ask("config", "set", "maxmemory", "1")
        } heal: { site in
            try await site.redis.ask("config", "set", "maxmemory", "0")
        }
    }

    @Test func readOnly() async throws {
        try await failClosed(.init(times: .short), says: "READONLY") { site in
            try await site.redis.ask("replicaof", "127.0.0.1", "1")
        } heal: { site in
            try await site.redis.ask("replicaof", "no", "one")
        }
    }

    @Test func cannotSave() async throws {
        try await failClosed(.init(redisDirectives: ["dbfilename folder"]), says: "MISCONF") { site in
            // A snapshot cannot take the place of a folder, whoever runs the server.
            try ChildProcess.run("mkdir", ["-p", "\(site.redis.directory)/folder/full"])
            try await site.redis.ask("config", "set", "save", "3600 1")
            try await site.redis.ask("bgsave")
            try await eventually("the snapshot has failed") {
                try await site.redis.ask("info", "persistence").contains("rdb_last_bgsave_status:err")
            }
        } heal: { site in
            try await site.redis.ask("config", "set", "save", "")
        }
    }

    @Test func passwordChanged() async throws {
        try await failClosed(.init(redisPassword: "old"), says: "WRONGPASS") { site in
            try await site.redis.ask("config", "set", "requirepass", "new")
            site.redisWires[0].cut()
        } heal: { site in
            try await site.redis.ask("-a", "new", "config", "set", "requirepass", "old")
        }
    }

    /// Scripts that the server has forgotten are sent once more; nobody notices.
    @Test func scriptsForgotten() async throws {
        try await CrashSite.run { site in
            let account = try await site.add(isExpired: true)
            try await site.redis.ask("script", "flush")
            #expect(await site.read(account).generation == 2)
            #expect(try await site.expectOneRefresh(account))
        }
    }

    /// A server that reads its data in after a restart answers, and must not be taken for one that has them.
    @Test func loading() async throws {
        // A millisecond for each of the many commands in the append-only file.
        let directives = CrashSite.Setup().redisDirectives + ["key-load-delay 1000"]
        try await CrashSite.run(.init(times: .short, redisDirectives: directives)) { site in
            let account = try await site.add(isExpired: true)
            _ = try await site.redis.ask(
                "eval", "for i = 1, 30000 do redis.call('SET', 'filling:' .. i, i) end", "0")
            let restart = Task { try await site.redis.restart() }
            try await eventually("Redis is loading") {
                do {
                    return try await site.redis.ask("ping").contains("LOADING")
                } catch {
                    return "\(error)".contains("LOADING")
                }
            }
            let answer = await site.read(account)
            #expect(answer.status == 503)
            #expect(try await site.mock.totals().tokenRequests == 0)
            // That was long enough.
            try await site.redis.ask("config", "set", "key-load-delay", "0")
            try await restart.value
            #expect(try await site.expectOneRefresh(account))
        }
    }
}
