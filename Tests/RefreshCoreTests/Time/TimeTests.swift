import PerennialTesting
import RefreshCore
import Testing

@Suite("Time")
struct TimeTests {
    @Test("wall times from any number are defined")
    func wallTimeFromSeconds() {
        #expect(WallTime(seconds: 1.5).milliseconds == 1500)
        #expect(WallTime(seconds: .nan).milliseconds == 0)
        #expect(WallTime(seconds: .infinity).milliseconds == 0)
        #expect(WallTime(seconds: 1e300) > WallTime(seconds: 1e15))
        #expect(WallTime(seconds: -1e300) < WallTime(seconds: -1e15))
    }

    @Test("durations saturate instead of trapping")
    func saturation() {
        #expect(Duration.seconds(Int64.max).wholeMilliseconds == .max / 4)
        #expect(Duration.seconds(Int64.min + 1).wholeMilliseconds == .min / 4)
        #expect(Duration.milliseconds(-1500).wholeMilliseconds == -1500)
        #expect(Duration.microseconds(999).wholeMilliseconds == 0)
        let now = WallTime(milliseconds: 1_800_000_000_000)
        #expect(now + .seconds(Int64.max) > now)
        #expect(now - .seconds(Int64.max) < now)
        #expect(MonotonicTime(nanoseconds: 5) + .seconds(Int64.max) > MonotonicTime(nanoseconds: 5))
        #expect((now + .seconds(3)) - now == .seconds(3))
    }

    @Test("the fleet's clock follows the server's and reports how far it moved")
    func fleetClock() {
        let clock = FleetClock(initialWall: WallTime(milliseconds: 1_000_000))
        #expect(clock.wall() >= WallTime(milliseconds: 1_000_000))
        let server = WallTime(milliseconds: 9_000_000)
        #expect(clock.align(to: server) > .seconds(7000))
        #expect(clock.wall() >= server)
        #expect(clock.wall() - server < .seconds(60))
        // An instance whose own clock is ahead goes back, too: what counts is the server.
        #expect(clock.align(to: WallTime(milliseconds: 2_000_000)) < .seconds(-6000))
        #expect(clock.wall() < server)
    }

    @Test("the fleet's monotonic clock is not moved by aligning, and its instants agree with it")
    func monotonicStays() {
        let clock = FleetClock(initialWall: WallTime(milliseconds: 0))
        let before = clock.monotonic()
        clock.align(to: WallTime(milliseconds: 9_000_000_000))
        #expect(clock.monotonic() - before < .seconds(60))
        let instant = clock.instant(of: clock.monotonic() + .seconds(100))
        #expect(ContinuousClock.now < instant)
        #expect(instant - ContinuousClock.now <= .seconds(100))
    }

    @Test("manual time wakes sleepers in the order of their deadlines and no earlier")
    func manualTime() async throws {
        let time = ManualTimeSource()
        let woken = AsyncStream.makeStream(of: Int.self)
        for seconds in [3, 1, 2] {
            Task {
                try await time.sleep(for: .seconds(seconds))
                woken.continuation.yield(seconds)
            }
        }
        await time.waitForSleeper(after: 2)
        #expect(time.nextDeadline == MonotonicTime(nanoseconds: 1_000_000_000))
        time.advance(by: .milliseconds(999))
        #expect(time.sleeperCount == 3)
        var iterator = woken.stream.makeAsyncIterator()
        for seconds in 1...3 {
            #expect(time.advanceToNextDeadline())
            #expect(await iterator.next() == seconds)
        }
        #expect(!time.advanceToNextDeadline())
    }

    @Test("manual time: a cancelled sleeper throws, and the wall clock jumps alone")
    func manualCancellation() async throws {
        let time = ManualTimeSource()
        let sleeper = Task { try await time.sleep(for: .seconds(1)) }
        await time.waitForSleeper()
        sleeper.cancel()
        await #expect(throws: CancellationError.self) { try await sleeper.value }
        #expect(time.sleeperCount == 0)
        let (wall, monotonic) = (time.wall(), time.monotonic())
        time.jumpWall(by: .seconds(-3600))
        #expect(time.wall() == wall - .seconds(3600))
        #expect(time.monotonic() == monotonic)
    }
}
