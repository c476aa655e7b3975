import RefreshCore
import Testing

@Suite("The lease's decisions")
struct LeaseMachineTests {
    private let start = MonotonicTime(nanoseconds: 0)
    private let ttl = Duration.seconds(6)

    private func leader() -> LeaseMachine {
        var machine = LeaseMachine(ttl: ttl, now: start, seed: 1)
        _ = machine.bidAnswered(.acquired(epoch: 4), sentAt: start, now: start)
        return machine
    }

    @Test("bids at once, reigns after a won bid, renews at a third of the life")
    func reigns() {
        var machine = LeaseMachine(ttl: ttl, now: start, seed: 1)
        #expect(machine.next(at: start).step == .bid)
        #expect(machine.bidAnswered(.acquired(epoch: 4), sentAt: start, now: start) == .began(epoch: 4))
        #expect(machine.isLeader(at: start))
        #expect(machine.next(at: start).step == .sleep(until: start + .seconds(2)))
        #expect(machine.next(at: start + .seconds(2)).step == .renew(epoch: 4))
        let sent = start + .seconds(2)
        #expect(machine.renewAnswered(true, sentAt: sent, now: sent + .seconds(1)) == .none)
        #expect(machine.isLeader(at: start + .milliseconds(7999)))
        #expect(!machine.isLeader(at: start + .seconds(8)))
    }

    @Test("renews later where a renewal is paid for, and still before the end")
    func renewsLater() {
        var machine = LeaseMachine(ttl: ttl, renewAfter: .seconds(4), now: start, seed: 1)
        _ = machine.bidAnswered(.acquired(epoch: 4), sentAt: start, now: start)
        #expect(machine.next(at: start).step == .sleep(until: start + .seconds(4)))
        #expect(machine.next(at: start + .seconds(4)).step == .renew(epoch: 4))
        _ = machine.renewAnswered(true, sentAt: start + .seconds(4), now: start + .seconds(4))
        #expect(machine.next(at: start + .seconds(4)).step == .sleep(until: start + .seconds(8)))
    }

    @Test("the lease is believed from before the request was sent, not from its answer")
    func countsFromSending() {
        var machine = LeaseMachine(ttl: ttl, now: start, seed: 1)
        _ = machine.bidAnswered(.acquired(epoch: 1), sentAt: start, now: start + .seconds(5))
        #expect(machine.isLeader(at: start + .milliseconds(5999)))
        #expect(!machine.isLeader(at: start + .seconds(6)))
        // An answer that took longer than the lease lives brings no reign at all.
        _ = machine.bidAnswered(.acquired(epoch: 2), sentAt: start, now: start + .seconds(7))
        #expect(!machine.isLeader(at: start + .seconds(7)))
        let (step, change) = machine.next(at: start + .seconds(7))
        #expect(step == .bid)
        #expect(change == .ended)
    }

    @Test("a leader whose store fails goes on while its time lasts, trying again, and no longer")
    func failedStore() {
        var machine = leader()
        var now = start + .seconds(2)
        var renewals = 0
        while true {
            let (step, change) = machine.next(at: now)
            if change == .ended { break }
            switch step {
            case .renew(let epoch):
                #expect(epoch == 4)
                renewals += 1
                machine.failed(now: now)
            case .sleep(let until):
                #expect(until > now)
                now = until
            case .bid: Issue.record("a leader bids")
            }
        }
        #expect(now == start + .seconds(6))
        #expect(renewals >= 3)
        #expect(renewals <= 12)
    }

    @Test("a renewal that says \"not yours\" ends the reign")
    func lost() {
        var machine = leader()
        #expect(machine.renewAnswered(false, sentAt: start, now: start + .seconds(2)) == .ended)
        #expect(!machine.isLeader(at: start + .seconds(2)))
        #expect(machine.renewAnswered(true, sentAt: start, now: start) == .none)
        #expect(machine.epoch == nil)
    }

    @Test("a follower bids when the lease it saw can have ended, at once after a release, soon after a failure")
    func follows() throws {
        func nextBid(_ machine: inout LeaseMachine) throws -> Duration {
            guard case .sleep(let until) = machine.next(at: start).step else { throw NeverHappened(description: "bid") }
            return until - start
        }
        var machine = LeaseMachine(ttl: ttl, now: start, seed: 1)
        #expect(machine.bidAnswered(.held(remaining: .seconds(3)), sentAt: start, now: start) == .none)
        #expect(try nextBid(&machine) >= .seconds(3))
        #expect(try nextBid(&machine) <= .milliseconds(3300))
        machine.leaderReleased(now: start)
        let wait = machine.next(at: start + .milliseconds(51)).step
        #expect(wait == .bid)
        // A store that answers nonsense does not put the bid off for ever.
        _ = machine.bidAnswered(.held(remaining: .seconds(1_000_000)), sentAt: start, now: start)
        #expect(try nextBid(&machine) <= .milliseconds(6300))
        machine.failed(now: start)
        #expect(try nextBid(&machine) <= .milliseconds(1200))
        #expect(try nextBid(&machine) >= .milliseconds(600))
    }

    @Test("resigning names the epoch to free, once")
    func resigns() {
        var machine = leader()
        #expect(machine.resign(now: start) == 4)
        #expect(machine.resign(now: start) == nil)
        #expect(!machine.isLeader(at: start))
        #expect(machine.next(at: start).step != .bid)
    }
}
