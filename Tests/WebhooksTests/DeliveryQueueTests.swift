import RefreshCore
import Testing

@testable import Webhooks

/// Which event is tried when, with nothing but times as input.
struct DeliveryQueueTests {
    private let start = Sample.start + .seconds(1)

    private func queue(maxAge: Duration = .seconds(86_400)) -> DeliveryQueue {
        DeliveryQueue(maxAge: maxAge, backoff: .init(base: .seconds(5), cap: .seconds(1800)), seed: 7)
    }

    @Test func eventsOfAnAccountGoOneAfterTheOther() {
        var queue = queue()
        for number in 1...3 { queue.add(Sample.event(number)) }
        #expect(queue.start(now: start).map(\.position.milliseconds) == [Sample.event(1).position.milliseconds])
        #expect(queue.start(now: start).isEmpty, "the second waits for the first")
        #expect(queue.finished(Sample.event(1).id, .delivered, now: start) == .delivered)
        #expect(queue.start(now: start).map(\.id) == [Sample.event(2).id])
    }

    @Test func aFailureHoldsBackItsOwnAccountOnly() throws {
        var queue = queue()
        queue.add(Sample.event(1, account: "alice"))
        queue.add(Sample.event(2, account: "bob"))
        queue.add(Sample.event(3, account: "alice"))
        queue.add(Sample.event(4, account: "bob"))
        #expect(queue.start(now: start).map(\.id) == [Sample.event(1).id, Sample.event(2, account: "bob").id])
        guard case .retry(let at) = queue.finished(Sample.event(1).id, .failed("HTTP 500"), now: start) else {
            Issue.record("a failure is tried again")
            return
        }
        #expect(queue.finished(Sample.event(2).id, .delivered, now: start) == .delivered)
        #expect(queue.start(now: start).map(\.id) == [Sample.event(4).id])
        #expect(queue.finished(Sample.event(4).id, .delivered, now: start) == .delivered)
        #expect(queue.start(now: start).isEmpty)
        #expect(queue.nextStart(now: start) == at)
        #expect(queue.start(now: at).map(\.id) == [Sample.event(1).id])
        #expect(queue.finished(Sample.event(1).id, .delivered, now: at) == .delivered)
        #expect(queue.start(now: at).map(\.id) == [Sample.event(3).id])
    }

    @Test func pausesGrowFromSecondsToHalfAnHour() {
        var queue = queue()
        queue.add(Sample.event(1))
        var now = start
        var pauses: [Duration] = []
        for _ in 1...30 {
            #expect(queue.start(now: now).count == 1)
            guard case .retry(let at) = queue.finished(Sample.event(1).id, .failed("HTTP 500"), now: now) else {
                Issue.record("a failure is tried again")
                return
            }
            pauses.append(at - now)
            // The receiver counts as down meanwhile, and is not asked more often than every five seconds.
            now = max(at, now + .seconds(5))
        }
        #expect(pauses[0] >= .milliseconds(500) && pauses[0] <= .seconds(5))
        #expect(pauses.allSatisfy { $0 <= .seconds(1800) })
        #expect((pauses.max() ?? .zero) > .seconds(600))
        #expect(Set(pauses).count > 20, "full jitter")
    }

    @Test func retryAfterIsHonouredForAll() {
        var queue = queue()
        queue.add(Sample.event(1, account: "alice"))
        queue.add(Sample.event(2, account: "bob"))
        #expect(queue.start(now: start).count == 2)
        _ = queue.finished(Sample.event(1).id, .failed("HTTP 429", retryAfter: .seconds(90)), now: start)
        _ = queue.finished(Sample.event(2).id, .failed("HTTP 500"), now: start)
        queue.add(Sample.event(3, account: "carol"))
        #expect(queue.start(now: start + .seconds(89)).isEmpty)
        #expect(queue.nextStart(now: start) == start + .seconds(90))
        #expect(queue.start(now: start + .seconds(90)).count == 3)
    }

    @Test func whatWasUnderWayDoesNotCutRetryAfterShort() {
        var queue = queue()
        queue.add(Sample.event(1, account: "alice"))
        queue.add(Sample.event(2, account: "bob"))
        #expect(queue.start(now: start).count == 2)
        _ = queue.finished(Sample.event(1).id, .failed("HTTP 429", retryAfter: .seconds(90)), now: start)
        #expect(queue.finished(Sample.event(2).id, .delivered, now: start) == .delivered)
        queue.add(Sample.event(3, account: "carol"))
        #expect(queue.start(now: start + .seconds(89)).isEmpty)
        #expect(queue.start(now: start + .seconds(90)).count == 2)
    }

    @Test func aReceiverThatIsDownIsAskedOneAtATimeAndAllFollowsWhenItIsBack() {
        var queue = queue()
        for number in 1...20 { queue.add(Sample.event(number, account: "account-\(number)")) }
        var now = start
        let first = queue.start(now: now)
        #expect(first.count == DeliveryQueue.maxConcurrent)
        for event in first { _ = queue.finished(event.id, .failed("no connection"), now: now) }
        #expect(queue.isDown)
        #expect(queue.start(now: now).isEmpty)
        now = now + .seconds(5)
        let probe = queue.start(now: now)
        #expect(probe.count == 1)
        #expect(queue.start(now: now).isEmpty)
        #expect(queue.finished(probe[0].id, .delivered, now: now) == .delivered)
        #expect(!queue.isDown)
        now = now + .seconds(2)
        var delivered = 1
        while true {
            let next = queue.start(now: now)
            guard !next.isEmpty else { break }
            for event in next { if queue.finished(event.id, .delivered, now: now) == .delivered { delivered += 1 } }
        }
        #expect(delivered == 20, "those that had failed do not sit out their pauses")
        #expect(queue.count == 0)
    }

    @Test func aRefusalIsADeadLetterAfterAFewTriesAndMakesWay() {
        var queue = queue()
        queue.add(Sample.event(1))
        queue.add(Sample.event(2))
        var now = start
        for attempt in 1...DeliveryQueue.maxRejections {
            #expect(queue.start(now: now).map(\.id) == [Sample.event(1).id])
            let verdict = queue.finished(Sample.event(1).id, .rejected("HTTP 422"), now: now)
            if attempt < DeliveryQueue.maxRejections {
                guard case .retry(let at) = verdict else {
                    Issue.record("given up too early")
                    return
                }
                now = at
            } else {
                #expect(verdict == .dead(reason: "HTTP 422", tries: attempt))
            }
        }
        #expect(queue.start(now: now).isEmpty, "nothing overtakes it before it is buried")
        queue.settle(Sample.event(1).id)
        #expect(queue.start(now: now).map(\.id) == [Sample.event(2).id])
    }

    @Test func anOldEventIsTriedOnceMoreAndThenGivenUp() {
        var queue = queue(maxAge: .seconds(3600))
        queue.add(Sample.event(1))
        let now = start + .seconds(7200)
        #expect(queue.start(now: now).count == 1)
        #expect(
            queue.finished(Sample.event(1).id, .failed("HTTP 503"), now: now) == .dead(reason: "HTTP 503", tries: 1))
    }

    @Test func goneStopsEverythingUntilTheConfigurationChanges() {
        var queue = queue()
        queue.add(Sample.event(1))
        queue.add(Sample.event(2, account: "bob"))
        #expect(queue.start(now: start).count == 2)
        #expect(queue.finished(Sample.event(1).id, .gone, now: start) == .gone)
        _ = queue.finished(Sample.event(2).id, .failed("x"), now: start)
        #expect(queue.start(now: start + .seconds(86_400)).isEmpty)
        #expect(queue.nextStart(now: start) == nil)
        #expect(queue.open(0).count == 2, "nothing is forgotten")
        queue.setGone(false)
        #expect(!queue.start(now: start + .seconds(3600)).isEmpty)
    }

    @Test func whatIsOpenOutlivesTheProcess() {
        var queue = queue()
        queue.add(Sample.event(1))
        queue.add(Sample.event(2))
        _ = queue.start(now: start)
        guard case .retry(let at) = queue.finished(Sample.event(1).id, .failed("x"), now: start) else { return }
        let open = queue.open(0)
        #expect(open.map(\.tries) == [1, 0])
        var next = DeliveryQueue(maxAge: .seconds(86_400), backoff: .init(), seed: 1)
        next.add(Sample.event(1), as: open[0])
        next.add(Sample.event(2), as: open[1])
        #expect(next.start(now: at - .milliseconds(1)).isEmpty)
        #expect(next.start(now: at).map(\.id) == [Sample.event(1).id])
    }

    @Test func aClockThatIsSetBackHoldsUpNothing() {
        var queue = queue()
        queue.add(Sample.event(1))
        _ = queue.start(now: start)
        _ = queue.finished(Sample.event(1).id, .failed("x", retryAfter: .seconds(60)), now: start)
        let back = start - .seconds(86_400)
        #expect(queue.start(now: back).count == 1)
    }

    @Test func eventsWithoutAnAccountKeepTheOrderOfTheirTopic() {
        var queue = queue()
        queue.add(Sample.event(1, "provider.misconfigured", account: nil))
        queue.add(Sample.event(2, "provider.recovered", account: nil))
        queue.add(Sample.event(3, "leader.changed", account: nil))
        #expect(queue.start(now: start).map(\.type) == ["provider.misconfigured", "leader.changed"])
    }

    @Test func thereIsAnEndToWhatIsHeld() {
        var queue = queue()
        for number in 1...DeliveryQueue.capacity { queue.add(Sample.event(number)) }
        #expect(queue.room == 0)
        _ = queue.start(now: start)
        _ = queue.finished(Sample.event(1).id, .delivered, now: start)
        #expect(queue.room == 1)
    }
}
