import PerennialTesting
import RefreshCore
import Testing

@Suite("Waking those who wait for a change", .timeLimit(.minutes(10)))
struct ChangeHubTests {
    @Test("a change between looking and waiting ends the wait at once")
    func noLostWakeup() async throws {
        let (hub, time, alice) = (ChangeHub(), ManualTimeSource(), try accountID("alice"))
        let ticket = hub.ticket(for: alice)
        hub.signal(alice)
        await hub.wait(for: alice, since: ticket, until: time.monotonic() + .seconds(100), time: time)
        let other = hub.ticket(for: alice)
        hub.signalAll()
        await hub.wait(for: alice, since: other, until: time.monotonic() + .seconds(100), time: time)
        #expect(time.monotonic() == MonotonicTime(nanoseconds: 0))
    }

    @Test("another account's change wakes nobody; the deadline does")
    func deadline() async throws {
        let (hub, time, alice) = (ChangeHub(), ManualTimeSource(), try accountID("alice"))
        let isDone = Flag()
        let waiter = Task {
            await hub.wait(
                for: alice, since: hub.ticket(for: alice), until: time.monotonic() + .seconds(5), time: time)
            isDone.raise()
        }
        await time.waitForSleeper()
        hub.signal(try accountID("bob"))
        time.advance(by: .milliseconds(4999))
        #expect(!isDone.isUp)
        time.advance(by: .milliseconds(1))
        await waiter.value
    }

    @Test("a deadline in the past, and cancellation before and during the wait, end it")
    func ends() async throws {
        let (hub, time, alice) = (ChangeHub(), ManualTimeSource(), try accountID("alice"))
        time.advance(by: .seconds(10))
        let ticket = hub.ticket(for: alice)
        await hub.wait(for: alice, since: ticket, until: MonotonicTime(nanoseconds: 5), time: time)
        let far = time.monotonic() + .seconds(100)
        let waiter = Task { await hub.wait(for: alice, since: ticket, until: far, time: time) }
        await time.waitForSleeper()
        waiter.cancel()
        await waiter.value
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            await hub.wait(for: alice, since: ticket, until: far, time: time)
        }
        await late.value
    }

    @Test("a thousand waiters and one signal, again and again")
    func crowd() async throws {
        let (hub, time, alice) = (ChangeHub(), realTime(), try accountID("alice"))
        for _ in 0..<5 {
            let ticket = hub.ticket(for: alice)
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<1000 {
                    group.addTask {
                        await hub.wait(
                            for: alice, since: ticket, until: time.monotonic() + .seconds(3600), time: time)
                    }
                }
                group.addTask { hub.signal(alice) }
            }
        }
    }
}
