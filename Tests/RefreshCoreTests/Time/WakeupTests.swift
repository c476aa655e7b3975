import PerennialTesting
import RefreshCore
import Testing

@Suite("A sleep that can be cut short", .timeLimit(.minutes(10)))
struct WakeupTests {
    @Test("a firing while nobody waits ends the next wait at once")
    func firedBefore() async {
        let (wakeup, time) = (Wakeup(), ManualTimeSource())
        wakeup.fire()
        wakeup.fire()
        await wakeup.wait(until: time.monotonic() + .seconds(100), time: time)
        #expect(time.monotonic() == MonotonicTime(nanoseconds: 0))
    }

    @Test("a firing ends the wait under way, the deadline another, cancellation a third")
    func ends() async throws {
        let (wakeup, time) = (Wakeup(), ManualTimeSource())
        let fired = Task { await wakeup.wait(until: time.monotonic() + .seconds(100), time: time) }
        await time.waitForSleeper()
        wakeup.fire()
        await fired.value
        let begun = time.sleepsStarted
        let timed = Task { await wakeup.wait(until: time.monotonic() + .seconds(5), time: time) }
        await time.waitForSleeper(after: begun)
        time.advance(by: .seconds(5))
        await timed.value
        let cancelled = Task { await wakeup.wait(until: time.monotonic() + .seconds(100), time: time) }
        cancelled.cancel()
        await cancelled.value
    }

    @Test("a thousand firings at random moments: none is lost")
    func noneLost() async throws {
        let (wakeup, time) = (Wakeup(), realTime())
        let far = time.monotonic() + .seconds(3600)
        for _ in 0..<1000 {
            async let firing: Void = Task.detached { wakeup.fire() }.value
            await wakeup.wait(until: far, time: time)
            await firing
        }
    }
}
