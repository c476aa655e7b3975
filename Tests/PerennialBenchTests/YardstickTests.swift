import NIOCore
import Synchronization
import Testing

@testable import PerennialBench

/// What the figures rest on: a wrong percentile or a message that slips through would make a requirement look met.
@Suite struct YardstickTests {
    @Test func percentilesAreSamplesByNearestRank() {
        let samples = Samples((1...100).map(Double.init).shuffled())
        #expect(samples.percentile(0.99) == 99)
        #expect(samples.percentile(1) == 100)
        #expect(samples.percentile(0) == 1)
        #expect(samples.median == 50.5)
        #expect(Samples([7]).percentile(0.99) == 7)
        #expect(Samples([]).percentile(0.99) == 0)
    }

    @Test(arguments: [1, 2, 3, 7, 1000])
    func messagesAreSwallowedHoweverTheStreamIsCut(size: Int) {
        let subscribed = "*3\r\n$9\r\nsubscribe\r\n$7\r\nchanges\r\n:1\r\n"
        let message = "*3\r\n$7\r\nmessage\r\n$7\r\nchanges\r\n$12\r\n2 x\r\n+OK\r\n y\r\n"
        let others = "+PONG\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:-5\r\n$0\r\n\r\n-ERR no 12\r\n"
        let stream = Array((subscribed + message + others + message + "+OK\r\n").utf8)

        let counter = MessageCounter()
        var filter = MessageFilter(counter: counter)
        var passed = ""
        for start in stride(from: 0, to: stream.count, by: size) {
            var part = ByteBuffer(bytes: stream[start..<min(start + size, stream.count)])
            passed += String(buffer: filter.pass(&part))
        }
        #expect(passed == subscribed + others + "+OK\r\n")
        #expect(counter.value.load(ordering: .relaxed) == 2)
    }

    @Test func anAnswerIsReadOnceItIsComplete() {
        let text = "HTTP/1.1 424 Failed\r\nDate: x\r\nCONTENT-Length:  11\r\n\r\n{\"a\":\r\n\r\nb}"
        for end in 0..<text.utf8.count {
            #expect(HTTPAnswerReader.read(ByteBuffer(bytes: text.utf8.prefix(end))) == nil)
        }
        let answer = HTTPAnswerReader.read(ByteBuffer(string: text))
        #expect(answer?.status == 424)
        #expect(answer.map { String(buffer: $0.body) } == "{\"a\":\r\n\r\nb}")
    }

    @Test func scriptsThatRedisDidNotKnowHaveNotRun() {
        let info = """
            # Commandstats\r
            cmdstat_evalsha:calls=12,usec=1,usec_per_call=0.1,rejected_calls=0,failed_calls=2\r
            cmdstat_eval:calls=2,usec=1,usec_per_call=0.1,rejected_calls=0,failed_calls=0\r
            cmdstat_info:calls=9,usec=1,usec_per_call=0.1,rejected_calls=0,failed_calls=0\r
            """
        let counts = RedisCounts(info: info)
        #expect(counts.scripts == 12)
        #expect(counts["info"] == 0)
        #expect(counts.since(counts).calls.isEmpty)
    }

    @Test func requirementsAreMetOnTheRightSide() {
        var report = BenchReport("x")
        #expect(!report.isMet)
        report.require("ratio", 0.5, .atLeast, 0.4)
        report.require("calls", 1, .equals, 1)
        #expect(report.isMet)
        report.require("delay", 50.1, .atMost, 50)
        #expect(!report.isMet)
        #expect(!BenchReport("y", failure: "no nginx").isMet)
    }
}
