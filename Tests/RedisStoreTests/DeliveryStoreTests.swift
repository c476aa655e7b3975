import RedisClient
import RedisStore
import RefreshCore
import Testing
import Webhooks

/// The state of webhook deliveries on a real redis-server.
@Suite(.timeLimit(.minutes(10)))
struct DeliveryStoreTests {
    private func position(_ number: UInt64) -> FleetEvent.Position { .init(milliseconds: number, sequence: 0) }

    private func letter(_ number: UInt64, partition: Int = 0, endpoint: String = "ops") -> DeadLetter {
        DeadLetter(
            id: "", endpoint: endpoint,
            event: FleetEvent(
                partition: partition, position: position(number), at: WallTime(milliseconds: Int64(number)),
                type: "account.paused", fields: [.init("account", "a\(number)"), .init("message", "x \"y\"\n")]),
            reason: "HTTP 400", tries: 5, at: WallTime(milliseconds: 1000 + Int64(number)))
    }

    @Test func progressAndStatusAreWrittenInOneCommandAndReadBack() async throws {
        try await StoreFixture.run(partitions: 3) { fixture in
            let store = RedisDeliveryStore(link: fixture.link)
            #expect(try await store.progress(0).isEmpty)
            #expect(try await store.statuses().isEmpty)
            let progress = DeliveryProgress(
                read: position(7), ordinal: 12,
                open: [.init(position: position(5), tries: 3, nextTry: 99), .init(position: position(6))])
            var status = DeliveryStatus()
            status.delivered = 4
            status.lastError = "HTTP 500"
            let before = fixture.client.commandCounts.values.reduce(0, +)
            try await store.save(
                0, progress: ["ops": progress, "chat": .init(read: .start)], statuses: ["ops": status])
            #expect(fixture.client.commandCounts.values.reduce(0, +) == before + 1)
            try await store.save(2, progress: ["ops": .init(read: position(1))], statuses: [:])
            #expect(try await store.progress(0) == ["ops": progress, "chat": .init(read: .start)])
            #expect(try await store.progress(1).isEmpty)
            #expect(try await store.progress(2) == ["ops": .init(read: position(1))])
            #expect(try await store.statuses() == ["ops": status])
            try await store.forget("ops")
            #expect(try await store.progress(0).keys.sorted() == ["chat"])
            #expect(try await store.progress(2).isEmpty)
            #expect(try await store.statuses().isEmpty)
        }
    }

    @Test func deadLettersAreKeptAsTheyAreAndDropped() async throws {
        try await StoreFixture.run(partitions: 3) { fixture in
            let store = RedisDeliveryStore(link: fixture.link)
            for letter in [letter(3, partition: 2), letter(1), letter(2, partition: 1, endpoint: "chat")] {
                try await store.bury(letter)
            }
            let letters = try await store.deadLetters(limit: 100)
            #expect(letters.map(\.endpoint) == ["ops", "chat", "ops"])
            #expect(
                letters.map(\.event) == [letter(1).event, letter(2, partition: 1).event, letter(3, partition: 2).event])
            #expect(letters.map(\.tries) == [5, 5, 5])
            #expect(try await store.drop(letters[1].id))
            #expect(try await store.drop(letters[1].id) == false)
            for text in ["", "9-1-1", "x", "0-", "-1-5-0"] { #expect(try await store.drop(text) == false, "\(text)") }
            #expect(try await store.deadLetters(limit: 100).map(\.endpoint) == ["ops", "ops"])
        }
    }

    @Test func deadLettersAreCapped() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisDeliveryStore(link: fixture.link)
            for number in 1...1400 as ClosedRange<UInt64> { try await store.bury(letter(number)) }
            let letters = try await store.deadLetters(limit: 10_000)
            #expect(letters.count >= 1000 && letters.count < 1200)
            #expect(letters.last?.event.position == position(1400))
        }
    }

    @Test func whatCannotBeReadIsSaid() async throws {
        try await StoreFixture.run { fixture in
            _ = try await fixture.redis("HSET", fixture.link.keys.webhooks(0), "ops", "not json")
            let error = await #expect(throws: StoreError.self) {
                try await RedisDeliveryStore(link: fixture.link).progress(0)
            }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains("webhook endpoint ops") == true)
        }
    }
}
