import Foundation
import NIOConcurrencyHelpers
import Testing

@testable import CurlClient

/// Much at once, little at a time, and nothing that piles up here.
@Suite("Back-pressure", .serialized)
struct BackPressureTests {
    /// What a connection on this machine can hold between two processes, and the stream's own window.
    static let inFlight = 24 << 20

    @Test("600 MB to a slow reader: what was sent and not read stays bounded, and so does memory")
    func largeResponse() async throws {
        let total = 600 << 20
        let sent = NIOLockedValueBox(0)
        try await withServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            let piece = [UInt8](repeating: 5, count: 1 << 16)
            for _ in 0..<(total >> 16) {
                guard connection.write(piece) else { return }
                sent.withLockedValue { $0 += piece.count }
            }
        } _: { client, server in
            let before = Memory.resident()
            let stream = try await client.open(CurlRequest(url: server.url).patient)
            // Nobody reads: the server is held up.
            var last = -1
            while last <= 0 || last != sent.withLockedValue({ $0 }) {
                last = sent.withLockedValue { $0 }
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(last < Self.inFlight)
            var read = 0
            var most = 0
            var largest = 0
            var steps = 0
            var growth = Int.max
            while let bytes = try await stream.next() {
                #expect(bytes.first == 5 && bytes.last == 5)
                read += bytes.count
                largest = max(largest, bytes.count)
                most = max(most, sent.withLockedValue { $0 } - read)
                steps += 1
                guard steps.isMultiple(of: 16) else { continue }
                try await Task.sleep(for: .milliseconds(5))
                if read > total / 4 * 3 { growth = min(growth, Memory.resident() - before) }
            }
            #expect(read == total)
            #expect(most < Self.inFlight)
            #expect(largest <= (256 << 10) + (16 << 10))
            // Three quarters of the body would be more. What other tests of this process use comes and goes, hence the least;
            // a sanitizer's shadow of the bounded rest is less.
            #expect(growth < 300 << 20)
        }
    }

    @Test("an event is delivered before the next one is written")
    func events() async throws {
        let count = 200
        let received = NIOLockedValueBox(0)
        try await withServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in 0..<count {
                let event = "data: \(number)\n\n"
                connection.write("\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n")
                let deadline = ContinuousClock.now + .seconds(60)
                while received.withLockedValue({ $0 }) <= number {
                    guard ContinuousClock.now < deadline else { return }
                    pause(milliseconds: 1)
                }
            }
            connection.write("0\r\n\r\n")
        } _: { client, server in
            let stream = try await client.open(CurlRequest(url: server.url).patient)
            var events = 0
            while let event = try await stream.next() {
                #expect(event == Array("data: \(events)\n\n".utf8))
                events += 1
                received.withLockedValue { [events] in $0 = events }
            }
            #expect(events == count)
        }
    }

    @Test("200 streams at once, each with its own bytes, and a request beside them")
    func concurrent() async throws {
        let streams = 200
        let pieces = 40
        try await withServer { connection in
            while let request = connection.readRequest() {
                let mark = UInt8(request.body.first ?? 0)
                connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                let piece = Array("1000\r\n".utf8) + [UInt8](repeating: mark, count: 4096) + Array("\r\n".utf8)
                for _ in 0..<pieces { connection.write(piece) }
                connection.write("0\r\n\r\n")
            }
        } _: { client, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<streams {
                    group.addTask {
                        let mark = UInt8(number)
                        let request = CurlRequest(method: "POST", url: server.url, body: [mark]).patient
                        let stream = try await client.open(request, limits: CurlStreamLimits(window: 10_000))
                        var count = 0
                        while let bytes = try await stream.next() {
                            #expect(bytes.allSatisfy { $0 == mark })
                            count += bytes.count
                            if number.isMultiple(of: 5) { await Task.yield() }
                        }
                        #expect(count == pieces * 4096)
                    }
                }
                group.addTask {
                    let response = try await client.execute(
                        CurlRequest(method: "POST", url: server.url, body: [1]).patient)
                    #expect(response.body.count == pieces * 4096)
                }
                try await group.waitForAll()
            }
            #expect(server.counters.requests == streams + 1)
        }
    }

    @Test("cancelling at any moment neither hangs nor crashes, and harms no other stream")
    func cancelAnywhere() async throws {
        let body = (0..<50_000).map { UInt8(truncatingIfNeeded: $0) }
        try await withServer(echo) { client, server in
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        let upload = CurlUpload(
                            length: number.isMultiple(of: 2) ? Int64(body.count) : nil, window: 1000)
                        let request = CurlRequest(method: "POST", url: server.url + (upload.length == nil ? "/x" : ""))
                            .patient
                        let writing = Task {
                            for start in stride(from: 0, to: body.count, by: 10_000) {
                                try await upload.write(Array(body[start..<start + 10_000]))
                            }
                            upload.finish()
                        }
                        // The server here reads no chunks: those requests are cancelled.
                        let isWhole = number.isMultiple(of: 6)
                        let reading = Task { () -> [UInt8]? in
                            let stream = try await client.open(
                                request, upload: upload, limits: CurlStreamLimits(window: 1000))
                            return try await stream.rest()
                        }
                        if !isWhole {
                            for _ in 0..<(number % 23) { await Task.yield() }
                            if number.isMultiple(of: 3) { upload.fail() } else { reading.cancel() }
                        }
                        let answer = try? await reading.value
                        // An upload that had ended before could not be given up any more.
                        #expect(isWhole ? answer == body : answer == nil || answer == body || upload.length == nil)
                        writing.cancel()
                        _ = await writing.result
                    }
                }
            }
        }
    }
}

enum Memory {
    /// Bytes of the process that are in memory.
    static func resident() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(getpagesize())
    }
}
