import PerennialServers
import Testing

/// Webhooks of real instances to a real receiver, which verifies signatures with a library that is not Perennial's.
@Suite(.serialized, .timeLimit(.minutes(6)))
struct WebhookTests {
    /// The receiver fails in every way it can and leaders die meanwhile: in the end it has every event.
    @Test func aFailingReceiverGetsEveryEventOnceAndInOrder() async throws {
        // The receiver lets it run out sometimes.
        try await WebhookSite.run(timeout: "500ms") { site in
            var receiver = try await site.receiver.start()
            try await site.waitUntilKnown()
            // The first leader may have been told of before the endpoint began.
            let before = Set(try await site.events().map(\.id))
            let accounts = try await site.add(5)
            try await site.toggle(accounts, times: 2)
            try await eventually("the receiver has what happened") { try site.receiver.taken().count >= 25 }

            try site.receiver.answer(.error)
            try await site.toggle(accounts, times: 2)
            // SIGKILL, with requests under way.
            let first = try await site.leader()
            await first.kill()
            try await site.toggle(accounts, times: 1)
            await receiver.kill()
            try await site.toggle(accounts, times: 1)
            try await site.waitForLeader(besides: first)
            try await first.start()
            receiver = try await site.receiver.start()
            try site.receiver.answer(.late)
            try await site.toggle(accounts, times: 1)
            try site.receiver.answer(.lost)
            try await eventually("something was taken and not acknowledged") {
                let entries = try site.receiver.entries().filter(\.taken)
                return Set(entries.map(\.id)).count < entries.count
            }
            try await site.waitUntilReady(first)
            let second = try await site.leader()
            await second.kill()
            try site.receiver.answer(.ok)
            try await site.toggle(accounts, times: 2)
            try await site.waitForLeader(besides: second)
            try await second.start()
            try await site.waitUntilReady(second)

            let expected = try await site.events().filter { $0.type != "token.refreshed" && !before.contains($0.id) }
            #expect(expected.count >= 5 + 5 * 9 * 2)
            try? await eventually("the receiver has every event", within: .seconds(60)) {
                Set(try site.receiver.taken().map(\.id)).isSuperset(of: expected.map(\.id))
            }
            let taken = try site.receiver.taken()
            let ids = Set(taken.map(\.id))
            #expect(expected.filter { !ids.contains($0.id) }.map { "\($0.type) \($0.id)" } == [])
            for account in accounts {
                #expect(
                    taken.filter { $0.account == account }.map(\.id)
                        == expected.filter { $0.data.account == account }.map(\.id), "in the order of the account")
            }
            #expect(try site.receiver.entries().allSatisfy(\.verified))
            #expect(Set(expected.map(\.type)).isSuperset(of: ["leader.changed", "account.added", "account.paused"]))

            // What the command says of it, and no log with the path of the URL.
            let (code, list) = try await site.command("webhooks", "list", "--json")
            #expect(code == 0, "\(list)")
            #expect(
                list.contains("\"state\":\"ok\"") && list.contains("\"dead_letters\":0") && list.contains("\"lost\":0"))
            for instance in site.instances {
                #expect(!instance.log.contains("planted-path"))
                #expect(!instance.log.contains(WebhookReceiver.secret))
            }
            #expect(!list.contains("planted-path"))
            _ = receiver
        }
    }

    @Test func anEventThatIsTooOldIsADeadLetterThatCanBeReplayed() async throws {
        try await WebhookSite.run(endpoint: ["max_age: 2s", "events: [account.*]"]) { site in
            try site.receiver.answer(.error)
            let receiver = try await site.receiver.start()
            try await site.waitUntilKnown()
            let account = try await site.add(1)[0]
            try await eventually("it is a dead letter") {
                let (_, output) = try await site.command("webhooks", "dead-letters", "--json")
                return output.contains(account)
            }
            var (code, output) = try await site.command("webhooks", "replay", "--all")
            #expect(code == 2, "\(output)")
            #expect(output.contains("HTTP 500"))
            try site.receiver.answer(.ok)
            (code, output) = try await site.command("webhooks", "replay", "--all")
            #expect(code == 0, "\(output)")
            #expect(try site.receiver.taken().map(\.account) == [account])
            (code, output) = try await site.command("webhooks", "dead-letters")
            #expect(code == 0 && output.contains("there are no dead letters"), "\(output)")
            _ = receiver
        }
    }

    @Test func aTestShowsWhatIsSentAndNoSecret() async throws {
        try await WebhookSite.run { site in
            let receiver = try await site.receiver.start()
            var (code, output) = try await site.command("webhooks", "test", "ops", "--event", "provider.misconfigured")
            #expect(code == 0, "\(output)")
            #expect(output.contains("HTTP 200") && output.contains("webhook-signature: v1,***"))
            #expect(!output.contains("planted-path") && !output.contains(WebhookReceiver.secret))
            let entry = try #require(try site.receiver.entries().last { $0.type == "provider.misconfigured" })
            #expect(entry.verified)
            await receiver.kill()
            (code, output) = try await site.command("webhooks", "test")
            #expect(code == 2, "\(output)")
            #expect(output.contains("no answer"))
            (code, output) = try await site.command("webhooks", "test", "opps")
            #expect(code == 1 && output.contains("there are ops"), "\(output)")
        }
    }

    /// Redis is away for a while: told once, though three instances saw it.
    @Test func anOutageOfRedisIsToldOnceWhenItIsOver() async throws {
        try await WebhookSite.run { site in
            let receiver = try await site.receiver.start()
            try await site.waitUntilKnown()
            await site.redis.kill()
            try await Task.sleep(for: .seconds(6))
            try await site.redis.restart()
            try await eventually("the outage is told", within: .seconds(60)) {
                try site.receiver.taken().contains { $0.type == "store.recovered" }
            }
            // The others tell of it too, within seconds.
            try await Task.sleep(for: .seconds(8))
            let taken = try site.receiver.taken().map(\.type).filter { $0.hasPrefix("store.") }
            #expect(taken == ["store.degraded", "store.recovered"])
            _ = receiver
        }
    }
}
