import NIOCore
import Testing

@testable import RedisClient

@Suite struct ReplyQueueTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func queue() -> ReplyQueue<String> {
        ReplyQueue(limits: .init(stallTimeout: .seconds(5), pingInterval: .seconds(30)), now: start)
    }

    private func completed(_ received: ReplyQueue<String>.Received) -> (String?, RESPValue)? {
        if case .complete(let waiter, let value) = received { return (waiter, value) }
        return nil
    }

    @Test func repliesGoToCallersInOrder() {
        var queue = queue()
        _ = queue.sent("a", pipelineOf: nil, at: start, timeout: .seconds(5))
        _ = queue.sent("b", pipelineOf: 2, at: start, timeout: .seconds(5))
        _ = queue.sent("c", pipelineOf: nil, at: start, timeout: .seconds(5))
        #expect(completed(queue.received(.integer(1))).map { $0 == ("a", .integer(1)) } == true)
        #expect(completed(queue.received(.integer(2))) == nil)
        let pipeline = completed(queue.received(.integer(3)))
        #expect(pipeline?.0 == "b")
        #expect(pipeline?.1 == .array([.integer(2), .integer(3)]))
        #expect(completed(queue.received(.null))?.0 == "c")
        guard case .unexpected = queue.received(.null) else {
            Issue.record("a reply nobody asked for was accepted")
            return
        }
    }

    @Test func anExpiredCallKeepsItsPlace() {
        var queue = queue()
        _ = queue.sent("slow", pipelineOf: nil, at: start, timeout: .seconds(1))
        _ = queue.sent("other", pipelineOf: nil, at: start, timeout: .seconds(5))
        let tick = queue.tick(at: start + .seconds(1))
        #expect(tick.expired == ["slow"])
        #expect(!tick.stalled)
        #expect(queue.tick(at: start + .seconds(2)).expired.isEmpty, "told once")
        #expect(completed(queue.received(.integer(1))).map { $0.0 == nil } == true, "the late reply is dropped")
        #expect(completed(queue.received(.integer(2)))?.0 == "other")
    }

    @Test func silenceWhileRepliesAreOwedIsAStall() {
        var queue = queue()
        let late = start + .seconds(100)
        queue.bytesReceived(at: late)
        _ = queue.sent("a", pipelineOf: nil, at: late, timeout: .milliseconds(10))
        #expect(!queue.tick(at: late + .seconds(4)).stalled, "a short deadline alone closes nothing")
        queue.bytesReceived(at: late + .seconds(4))
        #expect(!queue.tick(at: late + .seconds(8)).stalled, "bytes are a sign of life")
        #expect(queue.tick(at: late + .seconds(9)).stalled)
    }

    @Test func drippingBytesDoNotKeepAConnectionForEver() {
        var queue = queue()
        _ = queue.sent("a", pipelineOf: nil, at: start, timeout: .seconds(5))
        for second in 1...14 {
            queue.bytesReceived(at: start + .seconds(Int64(second)))
            #expect(!queue.tick(at: start + .seconds(Int64(second))).stalled)
        }
        queue.bytesReceived(at: start + .seconds(15))
        #expect(queue.tick(at: start + .seconds(15)).stalled)
    }

    @Test func aLongCallGetsItsOwnTime() {
        var queue = queue()
        _ = queue.sent("wait", pipelineOf: nil, at: start, timeout: .seconds(60))
        #expect(!queue.tick(at: start + .seconds(59)).stalled)
        #expect(queue.tick(at: start + .seconds(60)).stalled)
    }

    @Test func anIdleConnectionIsAsked() {
        var queue = queue()
        let early = queue.tick(at: start + .seconds(29))
        #expect(!early.ping)
        #expect(early.next == start + .seconds(30))
        #expect(queue.tick(at: start + .seconds(30)).ping)
    }

    @Test func drainingLeavesOutThoseWhoGaveUp() {
        var queue = queue()
        _ = queue.sent("a", pipelineOf: nil, at: start, timeout: .seconds(1))
        _ = queue.sent("b", pipelineOf: nil, at: start, timeout: .seconds(5))
        _ = queue.tick(at: start + .seconds(1))
        #expect(queue.drain() == ["b"])
        #expect(queue.isEmpty)
    }
}
