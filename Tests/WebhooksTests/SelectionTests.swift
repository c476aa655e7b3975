import RefreshCore
import Testing

@testable import Webhooks

struct SelectionTests {
    typealias Pattern = EventSelection.Pattern

    @Test(arguments: [
        ("account.paused", "account.paused", true), ("account.paused", "account.paused2", false),
        ("account.*", "account.paused", true), ("account.*", "accounts.paused", false), ("*", "anything", true),
        ("*.recovered", "store.recovered", true), ("*.recovered", "token.refresh_recovered", false),
        ("a*b*c", "axxbyyc", true), ("a*b*c", "acb", false), ("a*a", "a", false), ("a*a", "aa", true),
    ]) func patterns(pattern: String, name: String, matches: Bool) {
        #expect(Pattern(pattern).matches(name) == matches)
    }

    @Test func refreshesAreOptIn() {
        #expect(!EventSelection().includes(type: EventType.refreshed))
        #expect(EventSelection().includes(type: "token.refresh_failed"))
        #expect(EventSelection(types: [Pattern("token.*")]).includes(type: EventType.refreshed))
        let most = EventSelection(types: [Pattern("token.*")], excludedTypes: [Pattern(EventType.refreshed)])
        #expect(!most.includes(type: EventType.refreshed))
        #expect(most.includes(type: "token.orphaned"))
        #expect(!most.includes(type: "leader.changed"))
    }

    @Test func filtersHoldForWhatEventsAreAbout() {
        let selection = EventSelection(accounts: [Pattern("prod-*")], providers: [Pattern("acme")])
        #expect(selection.includes(Sample.event(1, account: "prod-1")))
        #expect(!selection.includes(Sample.event(1, account: "test-1")))
        #expect(selection.includes(Sample.event(1, "leader.changed", account: nil)))
        #expect(
            !selection.includes(Sample.event(1, "provider.misconfigured", account: nil, [.init("provider", "other")])))
    }

    @Test func idsOfEventsCanBeReadBack() throws {
        let event = Sample.event(7, partition: 3)
        let place = try #require(FleetEvent.place(of: event.id))
        #expect(place.partition == 3 && place.position == event.position)
        for text in ["", "evt_1_2", "evt_-1_2_3", "evt_1_2_3_4", "msg_1_2_3", "evt_a_2_3"] {
            #expect(FleetEvent.place(of: text) == nil, "\(text)")
        }
    }
}
