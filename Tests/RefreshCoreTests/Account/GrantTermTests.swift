import Testing

@testable import RefreshCore

@Suite("The term of a grant")
struct GrantTermTests {
    private let start = WallTime(milliseconds: 1_800_000_000_000)
    private static let day = Duration.seconds(86_400)
    private static let week = day * 7

    @Test("thirty days: a week before the end, and again a day before")
    func stages() {
        let term = GrantTerm(since: start, endsAt: start + Self.day * 30)
        func stage(_ days: Double) -> GrantTerm.Stage {
            term.stage(at: start + .milliseconds(Int64(days * 86_400_000)), warning: Self.week)
        }
        #expect(stage(0) == .lasting && stage(22.9) == .lasting)
        #expect(stage(23) == .expiring && stage(28.9) == .expiring)
        #expect(stage(29) == .lastDay && stage(31) == .lastDay)
        #expect(term.nextStageAt(after: start, warning: Self.week) == start + Self.day * 23)
        #expect(term.nextStageAt(after: start + Self.day * 23, warning: Self.week) == start + Self.day * 29)
        #expect(term.nextStageAt(after: start + Self.day * 29, warning: Self.week) == nil)
    }

    @Test("a grant that each refresh renews for half an hour is not always about to end")
    func shortOnes() {
        var term: GrantTerm?
        var now = start
        for _ in 0..<100 {
            term = GrantTerm.renewed(term, endsAt: now + .seconds(1800), now: now)
            #expect(term?.stage(at: now, warning: Self.week) == .lasting)
            now = now + .seconds(600)
        }
    }

    @Test("the same end told as time left is the same term")
    func sameEnd() {
        let first = GrantTerm.renewed(nil, endsAt: start + Self.day * 30, now: start)
        let later = start + Self.day * 24
        let second = GrantTerm.renewed(first, endsAt: start + Self.day * 30 + .seconds(2), now: later)
        #expect(second.since == start)
        #expect(second.stage(at: later, warning: Self.week) == .expiring)
        #expect(GrantTerm.renewed(first, endsAt: start + Self.day * 54, now: later).since == later)
    }
}
