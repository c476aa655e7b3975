import Testing

@testable import PerennialCLI

struct DemoScreenTests {
    private static func scene() -> DemoScene {
        DemoScene(
            elapsed: .seconds(15), duration: .seconds(60),
            instances: [
                .init(number: 1, pid: 4711, address: "127.0.0.1:40001", state: .leader, refreshes: 120),
                .init(number: 2, pid: 4712, address: "127.0.0.1:40002", state: .killed, refreshes: 3),
                .init(number: 3, pid: 4713, address: "127.0.0.1:40003", state: .ended("signal 11"), refreshes: 0),
            ],
            earliest: [("acct-7", 10.24, 3), ("acct-9", 10.96, 4)], accounts: 100, served: 4500, readsPerSecond: 299.6,
            waited: 2, failed: 0, expired: 0, rerouted: 1, refreshes: 123, duplicateSpends: 0, familiesRevoked: 0,
            event: "Instance 2, the leader, was killed")
    }

    @Test func layout() {
        let lines = DemoScreen.lines(Self.scene(), width: 100, hasColour: false)
        #expect(lines[0] == "perennial demo  " + DemoScreen.bar(0.25, width: 48) + "  15s / 1m")
        #expect(lines[2] == "  instance 1  pid 4711     127.0.0.1:40001  leader    120 refreshes")
        #expect(lines[3].contains("killed"))
        #expect(lines[4].contains("ended") && lines[4].contains("signal 11"))
        #expect(lines.contains { $0.contains("acct-7 10.2 s (g3) · acct-9 11.0 s (g4)") })
        #expect(lines.contains { $0.contains("300/s") && $0.contains("4500 served") && $0.contains("0 failed") })
        #expect(lines.last == "  Instance 2, the leader, was killed")
    }

    @Test(arguments: [1, 20, 40, 80])
    func noLineIsWiderThanTheTerminal(width: Int) {
        for line in DemoScreen.lines(Self.scene(), width: width, hasColour: false) {
            #expect(line.count < max(width, 2), "\(line)")
        }
    }

    @Test func coloursChangeNothingButTheColour() {
        let plain = DemoScreen.lines(Self.scene(), width: 60, hasColour: false)
        let painted = DemoScreen.lines(Self.scene(), width: 60, hasColour: true)
        #expect(painted != plain)
        #expect(painted.map { $0.replacing(/\u{1B}\[[0-9]*m/, with: "") } == plain)
    }

    @Test func bars() {
        #expect(DemoScreen.bar(0, width: 4) == "░░░░")
        #expect(DemoScreen.bar(0.5, width: 4) == "██░░")
        #expect(DemoScreen.bar(7, width: 4) == "████")
        #expect(DemoScreen.bar(0.5, width: 0) == "")
    }

    @Test func rateOverTheLastMoments() {
        var meter = RateMeter()
        #expect(meter.rate == nil)
        let start = ContinuousClock.now
        for step in 0..<40 { meter.record(step * 75, at: start + .milliseconds(250 * step)) }
        #expect(meter.rate == 300)
    }
}
