import NIOConcurrencyHelpers
import Synchronization
import Testing

@testable import CurlClient

/// Request bodies that are written while the request is under way.
@Suite("Uploads")
struct UploadTests {
    /// Answers with the head, a bar and the body that came by chunks.
    @Sendable static func unchunk(_ connection: RawConnection) {
        while let head = connection.readHead() {
            var body: [UInt8] = []
            while let chunk = connection.readChunk(), !chunk.isEmpty { body += chunk }
            connection.answer(body: Array("\(head)|".utf8) + body)
        }
    }

    @Test("known length: Content-Length and the bytes; none of libcurl's own headers, and no Expect")
    func knownLength() async throws {
        try await withServer { connection in
            while let request = connection.readRequest() {
                connection.answer(body: Array(request.head.utf8) + Array("|".utf8) + request.body)
            }
        } _: { client, server in
            for method in ["PUT", "POST", "PATCH", "DELETE", "GET"] {
                let upload = CurlUpload(length: 6)
                async let opening = client.open(CurlRequest(method: method, url: server.url).patient, upload: upload)
                try await upload.write(Array("abc".utf8))
                try await upload.write([])
                try await upload.write(Array("def".utf8))
                upload.finish()
                let text = String(decoding: try await opening.rest(), as: UTF8.self)
                #expect(
                    text == "\(method) / HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nContent-Length: 6|abcdef")
                #expect(upload.bytesTaken == 6)
            }
            let empty = CurlUpload(length: 0)
            empty.finish()
            let stream = try await client.open(CurlRequest(method: "POST", url: server.url).patient, upload: empty)
            #expect(String(decoding: try await stream.rest(), as: UTF8.self).hasSuffix("Content-Length: 0|"))
            #expect(server.counters.connections == 1)
        }
    }

    @Test("unknown length: chunks, each sent as it is written")
    func chunked() async throws {
        let chunks = NIOLockedValueBox<[[UInt8]]>([])
        try await withServer { connection in
            while let head = connection.readHead() {
                while let chunk = connection.readChunk() {
                    chunks.withLockedValue { $0.append(chunk) }
                    if chunk.isEmpty { break }
                }
                connection.answer(body: Array(head.utf8))
            }
        } _: { client, server in
            let upload = CurlUpload(length: nil)
            async let opening = client.open(
                CurlRequest(method: "POST", url: server.url, headers: [("Content-Type", "a/b")]).patient, upload: upload
            )
            for number in 1...3 {
                try await upload.write([UInt8(number)])
                try await eventually("the server has it") { chunks.withLockedValue { $0.count } == number }
            }
            upload.finish()
            let text = String(decoding: try await opening.rest(), as: UTF8.self)
            #expect(chunks.withLockedValue { $0 } == [[1], [2], [3], []])
            #expect(
                text.split(separator: "\r\n").dropFirst().sorted()
                    == ["Content-Type: a/b", "Host: 127.0.0.1:\(server.port)", "Transfer-Encoding: chunked"])

            let empty = CurlUpload(length: nil)
            empty.finish()
            let stream = try await client.open(CurlRequest(method: "PUT", url: server.url).patient, upload: empty)
            #expect(stream.head.status == 200)
            _ = try await stream.rest()
            #expect(server.counters.connections == 1)
        }
    }

    @Test("a server that does not read holds the writer up")
    func backPressure() async throws {
        let total = 64 << 20
        let mayRead = NIOLockedValueBox(false)
        try await withServer { connection in
            guard connection.readHead() != nil else { return }
            while !mayRead.withLockedValue({ $0 }) { pause(milliseconds: 1) }
            var left = total
            while left > 0, let count = connection.readSome(left) { left -= count }
            connection.answer(body: Array("\(total - left)".utf8))
        } _: { client, server in
            let written = NIOLockedValueBox(0)
            let upload = CurlUpload(length: Int64(total))
            let writing = Task {
                let piece = [UInt8](repeating: 3, count: 100_000)
                var left = total
                while left > 0 {
                    let count = min(left, piece.count)
                    try await upload.write(Array(piece[..<count]))
                    left -= count
                    written.withLockedValue { $0 += count }
                }
                upload.finish()
            }
            async let opening = client.open(CurlRequest(method: "PUT", url: server.url).patient, upload: upload)
            var last = -1
            while last != written.withLockedValue({ $0 }) || last == 0 {
                last = written.withLockedValue { $0 }
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(last < BackPressureTests.inFlight)
            #expect(Int64(last) - upload.bytesTaken <= 256 << 10)
            mayRead.withLockedValue { $0 = true }
            try await writing.value
            #expect(String(decoding: try await opening.rest(), as: UTF8.self) == "\(total)")
            #expect(upload.bytesTaken == Int64(total))
        }
    }

    @Test("both ways at once: what comes back while the body still leaves")
    func bothWays() async throws {
        try await withServer { connection in
            guard connection.readHead() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while let chunk = connection.readChunk(), !chunk.isEmpty {
                connection.write(Array("\(String(chunk.count, radix: 16))\r\n".utf8) + chunk + Array("\r\n".utf8))
            }
            connection.write("0\r\n\r\n")
        } _: { client, server in
            let upload = CurlUpload(length: nil)
            let stream = try await client.open(CurlRequest(method: "POST", url: server.url).patient, upload: upload)
            // Word by word.
            for number in 0..<50 {
                try await upload.write([UInt8(number)])
                #expect(try await stream.next() == [UInt8(number)])
            }
            // And as much as there is room for.
            let piece = [UInt8](repeating: 8, count: 50_000)
            async let writing: Void = {
                for _ in 0..<200 { try await upload.write(piece) }
                upload.finish()
            }()
            #expect(try await stream.rest().count == 200 * piece.count)
            try await writing
        }
    }

    @Test("given up: the server never sees the end of the body")
    func givenUp() async throws {
        let sawEnd = NIOLockedValueBox<[Bool]>([])
        try await withServer { connection in
            guard connection.readHead() != nil else { return }
            var chunk = connection.readChunk()
            while let bytes = chunk, !bytes.isEmpty { chunk = connection.readChunk() }
            sawEnd.withLockedValue { $0.append(chunk != nil) }
        } _: { client, server in
            let upload = CurlUpload(length: nil)
            let opening = Task {
                await openingFailure(client, CurlRequest(method: "POST", url: server.url).patient, upload: upload)
            }
            try await upload.write([1, 2, 3])
            try await eventually("it left") { upload.bytesTaken == 3 }
            upload.fail()
            let error = await opening.value
            #expect(error?.code == .upload)
            #expect(error?.unsent == false)
            try await eventually("the server sees the cut") { sawEnd.withLockedValue { $0 } == [false] }
            await #expect(throws: CurlError.self) { try await upload.write([4]) }
        }
    }

    @Test("shorter than announced, longer, after its end, twice, or where no body can be")
    func misuse() async throws {
        try await withServer {
            $0.drain()
        } _: { client, server in
            let short = CurlUpload(length: 5)
            let opening = Task {
                await openingFailure(client, CurlRequest(method: "POST", url: server.url).patient, upload: short)
            }
            try await short.write([1, 2])
            let tooLong = await #expect(throws: CurlError.self) { try await short.write([3, 4, 5, 6]) }
            #expect(tooLong?.code == .invalidRequest)
            short.finish()
            let error = await opening.value
            #expect(error?.code == .upload)

            let done = CurlUpload(length: nil)
            done.finish()
            let late = await #expect(throws: CurlError.self) { try await done.write([1]) }
            #expect(late?.code == .invalidRequest)

            for (request, upload) in [
                (CurlRequest(method: "POST", url: server.url).patient, short),
                (CurlRequest(method: "HEAD", url: server.url).patient, CurlUpload(length: 1)),
                (CurlRequest(method: "POST", url: server.url, body: [1]).patient, CurlUpload(length: 1)),
            ] {
                let error = await openingFailure(client, request, upload: upload)
                #expect(error?.code == .invalidRequest)
                #expect(error?.unsent == true)
            }
        }
    }

    @Test("a writer that stops in the middle ends the request; one that is cancelled does not")
    func stalledWriter() async throws {
        try await withServer(Self.unchunk) { client, server in
            let stalled = CurlUpload(length: nil)
            try await stalled.write([1])
            let error = await openingFailure(
                client, CurlRequest(method: "POST", url: server.url).patient, upload: stalled,
                limits: CurlStreamLimits(head: .seconds(20), idle: .milliseconds(200)))
            #expect(error?.code == .upload)

            let upload = CurlUpload(length: nil, window: 1)
            let writing = Task { () -> CurlError? in
                do throws(CurlError) {
                    try await upload.write([1, 2])
                    return nil
                } catch {
                    return error
                }
            }
            try await Task.sleep(for: .milliseconds(20))
            writing.cancel()
            #expect(await writing.value?.code == .cancelled)
            upload.finish()
            let stream = try await client.open(CurlRequest(method: "POST", url: server.url).patient, upload: upload)
            #expect(try await stream.rest().suffix(3) == [UInt8(ascii: "|"), 1, 2])
        }
    }

    @Test("an answer before the body has left: it is handed over, and the writer learns that no more is wanted")
    func earlyAnswer() async throws {
        try await withServer { connection in
            guard connection.readHead() != nil else { return }
            connection.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            connection.drain()
        } _: { client, server in
            let upload = CurlUpload(length: 1 << 30)
            async let writing = failureOfWriting(upload)
            let stream = try await client.open(CurlRequest(method: "PUT", url: server.url).patient, upload: upload)
            #expect(stream.head.status == 413)
            #expect(try await stream.rest() == Array("no".utf8))
            #expect(await writing?.code == .upload)
        }
    }

    @Test("a reused connection that dies: sent again without an upload, and never with one that has begun")
    func sendingAgain() async throws {
        let puts = NIOLockedValueBox(0)
        try await withServer { connection in
            while let head = connection.readHead() {
                if head.hasPrefix("PUT") { puts.withLockedValue { $0 += 1 } }
                if head.hasPrefix("GET /first") {
                    connection.answer()
                } else if connection.number == 1 || head.hasPrefix("PUT") {
                    return
                } else {
                    connection.answer(body: [7])
                }
            }
        } _: { client, server in
            _ = try await client.open(CurlRequest(url: server.url + "/first").patient).rest()
            let stream = try await client.open(CurlRequest(url: server.url + "/second").patient)
            #expect(try await stream.rest() == [7])
            #expect(server.counters.connections == 2)

            _ = try await client.open(CurlRequest(url: server.url + "/first").patient).rest()
            let upload = CurlUpload(length: nil)
            async let writing = failureOfWriting(upload)
            let error = await openingFailure(
                client, CurlRequest(method: "PUT", url: server.url).patient, upload: upload)
            #expect(error?.unsent == false)
            #expect(error?.code == .receive || error?.code == .send)
            #expect(await writing == error)
            #expect(puts.withLockedValue { $0 } == 1)

            _ = try await client.open(CurlRequest(url: server.url + "/first").patient).rest()
            let single = await openingFailure(
                client, CurlRequest(method: "PUT", url: server.url, singleSend: true).patient)
            #expect(single?.code == .receive)
            #expect(puts.withLockedValue { $0 } == 2)
        }
    }

    @Test("a handle whose request could not be sent again serves an upload as any other")
    func afterALostConnection() async throws {
        try await withServer(Self.unchunk) { client, other in
            let lost = try RawServer { connection in
                if connection.readRequest() != nil { connection.answer() }
                // The next one is read and not answered.
                _ = connection.readHead()
            }
            defer { lost.stop() }
            _ = try await client.open(CurlRequest(url: lost.url).patient).rest()
            lost.stopListening()
            // libcurl means to send it again, and finds nobody.
            let error = await openingFailure(
                client, CurlRequest(method: "PUT", url: lost.url, body: [1, 2, 3]).patient)
            #expect(error != nil)
            let upload = CurlUpload(length: nil)
            try await upload.write([4])
            upload.finish()
            let stream = try await client.open(CurlRequest(method: "POST", url: other.url).patient, upload: upload)
            #expect(try await stream.rest().last == 4)
        }
    }

    @Test("a body is let go of when it has been sent and the answer has begun, not when the stream ends")
    func bodyIsLetGoOf() async throws {
        let isOver = NIOLockedValueBox(false)
        defer { isOver.withLockedValue { $0 = true } }
        try await withServer { connection in
            guard let request = connection.readRequest() else { return }
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            let sum = String(request.body.reduce(0) { $0 + Int($1) })
            connection.write("\(String(sum.utf8.count, radix: 16))\r\n\(sum)\r\n")
            while !isOver.withLockedValue({ $0 }) { pause(milliseconds: 1) }
        } _: { client, server in
            defer { isOver.withLockedValue { $0 = true } }
            for count in [1, 1000, 70_000, 300_000] {
                let body = [UInt8](repeating: 1, count: count)
                let stream = try await client.open(CurlRequest(method: "POST", url: server.url, body: body).patient)
                #expect(try await stream.next() == Array("\(count)".utf8))
                #expect(stream.transfer.bytesKept.load(ordering: .relaxed) == 0)
                stream.cancel()
            }
        }
    }
}
