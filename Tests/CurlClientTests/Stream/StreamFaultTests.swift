import NIOConcurrencyHelpers
import Testing

@testable import CurlClient

/// Servers that are wrong, silent or gone.
@Suite("Streams that fail")
struct StreamFaultTests {
    @Test(
        "a response that is cut is an error behind what came of it, never a clean end",
        arguments: [
            "Content-Length: 100\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "Transfer-Encoding: chunked\r\n\r\n50\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n",
        ])
    func cut(_ response: String) async throws {
        try await withServer { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\n" + response)
        } _: { client, server in
            let stream = try await client.open(CurlRequest(url: server.url).patient)
            #expect(stream.head.status == 200)
            let (error, body) = await stream.failure()
            #expect(error?.code == .truncated, "\(String(describing: error))")
            #expect(error?.unsent == false)
            #expect(body == Array("hello".utf8))
            // It stays one.
            let again = await stream.failure()
            #expect(again.error?.code == .truncated)
        }
    }

    @Test(
        "a head that is cut, nonsense, another protocol, or that contradicts itself",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Le", CurlError.Code.truncated), ("", .receive),
            ("SSH-2.0-OpenSSH\r\n", .receive),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nbytes", .receive),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", .receive),
            ("HTTP/1.1 103 Early Hints\r\n\r\n", .truncated),
        ])
    func badHead(_ response: String, _ code: CurlError.Code) async throws {
        try await withServer { connection in
            _ = connection.readRequest()
            connection.write(response)
        } _: { client, server in
            let error = await openingFailure(client, CurlRequest(url: server.url).patient)
            #expect(error?.code == code, "\(String(describing: error))")
            #expect(error?.unsent == false)
        }
    }

    @Test("heads and trailers beyond the cap are refused; a body has none")
    func largeHeads() async throws {
        try await withServer { connection in
            guard let request = connection.readRequest() else { return }
            if request.head.hasPrefix("GET /early") {
                while connection.write("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n") {}
            } else if request.head.hasPrefix("GET /head") {
                connection.write("HTTP/1.1 200 OK\r\n")
                while connection.write("X: \(String(repeating: "y", count: 500))\r\n") {}
            } else {
                connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in 0..<100 { connection.write("400\r\n\(String(repeating: "x", count: 1024))\r\n") }
                connection.write("0\r\n")
                while connection.write("X: \(String(repeating: "y", count: 500))\r\n") {}
            }
        } _: { client, server in
            for path in ["/early", "/head"] {
                let error = await openingFailure(
                    client, CurlRequest(url: server.url + path, maxResponseBytes: 10_000).patient)
                #expect(error?.code == .responseTooLarge, "\(path): \(String(describing: error))")
            }
            // libcurl has a cap of its own.
            let endless = await openingFailure(
                client, CurlRequest(url: server.url + "/head", maxResponseBytes: 100 << 20).patient)
            #expect(endless?.code == .responseTooLarge, "\(String(describing: endless))")
            let stream = try await client.open(
                CurlRequest(url: server.url + "/trailers", maxResponseBytes: 10_000).patient)
            let (error, body) = await stream.failure()
            #expect(error?.code == .responseTooLarge, "\(String(describing: error))")
            #expect(body.count == 100 << 10)
        }
    }

    @Test("nobody there: unsent, and its writer learns of it")
    func unsent() async throws {
        let port = try RawServer.freePort()
        try await withClient { client in
            let upload = CurlUpload(length: nil, window: 1)
            async let writing = failureOfWriting(upload)
            let error = await openingFailure(
                client, CurlRequest(method: "POST", url: "http://127.0.0.1:\(port)/").patient, upload: upload)
            #expect(error?.code == .connect)
            #expect(error?.unsent == true)
            #expect(await writing?.code == .connect)
            #expect(upload.bytesTaken == 0)
        }
    }

    /// Opens a stream within a time that is doubled for a machine that is too busy for it. Returns that as well.
    private func open(
        _ client: CurlClient, _ url: String, within limit: Duration, limits: (Duration) -> CurlStreamLimits
    ) async throws(CurlError) -> (CurlStream, Duration) {
        do throws(CurlError) {
            return (try await client.open(CurlRequest(url: url).patient, limits: limits(limit)), limit)
        } catch {
            guard error.code == .timeout, limit < .seconds(60) else { throw error }
            return try await open(client, url, within: limit * 2, limits: limits)
        }
    }

    @Test("no head in time, silence in the body, and all together too long")
    func limits() async throws {
        try await withServer { connection in
            guard let request = connection.readRequest() else { return }
            if request.head.hasPrefix("GET /silent") { return connection.drain() }
            if request.head.hasPrefix("GET /early") {
                // Informational heads are no answer.
                while connection.write("HTTP/1.1 103 Early Hints\r\n\r\n") { pause(milliseconds: 20) }
                return
            }
            connection.write("HTTP/1.1 200 OK\r\n\r\nhello")
            if request.head.hasPrefix("GET /stalls") { return connection.drain() }
            while connection.write("x") { pause(milliseconds: 20) }
        } _: { client, server in
            let limits = CurlStreamLimits(head: .milliseconds(300), idle: .milliseconds(300))
            for path in ["/silent", "/early"] {
                let start = ContinuousClock.now
                let error = await openingFailure(client, CurlRequest(url: server.url + path).patient, limits: limits)
                #expect(error?.code == .timeout, "\(path): \(String(describing: error))")
                #expect(error?.unsent == false)
                #expect(ContinuousClock.now - start >= .milliseconds(290))
            }
            let stalling = try await client.open(
                CurlRequest(url: server.url + "/stalls").patient,
                limits: CurlStreamLimits(head: .seconds(60), idle: .milliseconds(300)))
            let (error, body) = await stalling.failure()
            #expect(error?.code == .timeout)
            #expect(body == Array("hello".utf8))

            // Drops keep it going beyond the idle limit, but not beyond the total one.
            var start = ContinuousClock.now
            let (dripping, total) = try await open(
                client, server.url + "/drips", within: .milliseconds(900)
            ) { total in
                start = .now
                return CurlStreamLimits(idle: .seconds(60), total: total)
            }
            let (late, _) = await dripping.failure()
            #expect(late?.code == .timeout)
            #expect(ContinuousClock.now - start >= total - .milliseconds(10))
        }
    }

    @Test(
        "an upload that drips prolongs the wait for the head, but not beyond its limit in all; a body may then take longer",
        .timeLimit(.minutes(10)))
    func opening() async throws {
        let drops = NIOLockedValueBox(40)
        try await withServer { connection in
            guard let head = connection.readHead() else { return }
            if head.hasPrefix("POST") { return connection.drain() }
            connection.write("HTTP/1.1 200 OK\r\n\r\nhello")
            for _ in 0..<drops.withLockedValue({ $0 }) where connection.write("x") { pause(milliseconds: 20) }
        } _: { client, server in
            let upload = CurlUpload(length: nil)
            let writer = Task {
                while (try? await upload.write([1])) != nil { try? await Task.sleep(for: .milliseconds(20)) }
            }
            let limits = CurlStreamLimits(head: .seconds(60), opening: .milliseconds(500), idle: .seconds(60))
            let start = ContinuousClock.now
            let error = await openingFailure(
                client, CurlRequest(method: "POST", url: server.url).patient, upload: upload, limits: limits)
            #expect(error?.code == .timeout, "\(String(describing: error))")
            #expect(ContinuousClock.now - start >= .milliseconds(490))
            await writer.value
            let (stream, _) = try await open(client, server.url, within: .milliseconds(500)) { opening in
                // A body that takes longer than that.
                drops.withLockedValue { $0 = Int(opening / .milliseconds(20)) * 8 / 5 }
                return CurlStreamLimits(head: .seconds(60), opening: opening, idle: .seconds(60))
            }
            #expect(try await stream.rest().count == 5 + drops.withLockedValue { $0 })
        }
    }

    @Test("who waits for a limited time loses nothing by it")
    func limitedWait() async throws {
        let goesOn = NIOLockedValueBox(0)
        try await withServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
            for (number, piece) in ["abcd", "efgh"].enumerated() {
                while goesOn.withLockedValue({ $0 }) <= number { pause(milliseconds: 1) }
                connection.write(piece)
            }
            connection.drain()
        } _: { client, server in
            let stream = try await client.open(CurlRequest(url: server.url).patient)
            var body: [UInt8] = []
            for limit in [Duration.zero, .milliseconds(1), .milliseconds(50)] {
                #expect(try await stream.next(within: limit) == [])
            }
            goesOn.withLockedValue { $0 = 1 }
            body += try #require(try await stream.next(within: .seconds(30)))
            #expect(body == Array("abcd".utf8))
            // Times that end at any moment around the arrival.
            goesOn.withLockedValue { $0 = 2 }
            while body.count < 8 {
                let piece = try await stream.next(within: .microseconds(Int.random(in: 0...300)))
                body += try #require(piece)
            }
            #expect(try await stream.next(within: .seconds(30)) == nil)
            #expect(body == Array("abcdefgh".utf8))
        }
    }

    @Test("a reader that takes its time is not blamed on the server")
    func slowReader() async throws {
        // More than is taken in unread, and little enough that the server gets rid of it at once.
        let size = 256 << 10
        let isWritten = NIOLockedValueBox(false)
        try await withServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.answer(body: [UInt8](repeating: 1, count: size))
            isWritten.withLockedValue { $0 = true }
            connection.drain()
        } _: { client, server in
            let stream = try await client.open(
                CurlRequest(url: server.url).patient, limits: CurlStreamLimits(idle: .milliseconds(200), window: 1000))
            try await eventually("all is written") { isWritten.withLockedValue { $0 } }
            // Longer than the idle limit by far; nothing is there to wait for but time.
            try await Task.sleep(for: .milliseconds(800))
            #expect(try await stream.rest().count == size)
        }
    }

    @Test("cancelled, dropped, or its task cancelled: the server sees the connection close at once")
    func cancelling() async throws {
        let closed = NIOLockedValueBox(0)
        try await withServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\n\r\nhello")
            connection.drain()
            closed.withLockedValue { $0 += 1 }
        } _: { client, server in
            func ends(_ count: Int) async throws {
                try await eventually("the server sees the end") { closed.withLockedValue { $0 } == count }
                try await eventually("the connection is gone") { Descriptors.connected(to: server.port) == 0 }
            }
            let first = try await client.open(CurlRequest(url: server.url).patient)
            first.cancel()
            first.cancel()
            #expect(await first.failure().error?.code == .cancelled)
            try await ends(1)

            var second: CurlStream? = try await client.open(CurlRequest(url: server.url).patient)
            #expect(try await second?.next() != nil)
            second = nil
            try await ends(2)

            let third = try await client.open(CurlRequest(url: server.url).patient)
            let reading = Task { await third.failure() }
            try await eventually("it reads") { server.counters.requests == 3 }
            reading.cancel()
            #expect(await reading.value.error?.code == .cancelled)
            try await ends(3)

            // Held up by the reader's window.
            let fourth = try await client.open(
                CurlRequest(url: server.url).patient, limits: CurlStreamLimits(window: 1))
            fourth.cancel()
            try await ends(4)
        }
    }

    @Test("cancelled while the head is due: the call ends at once")
    func cancelOpening() async throws {
        try await withServer { connection in
            _ = connection.readRequest()
            connection.drain()
        } _: { client, server in
            let task = Task { await openingFailure(client, CurlRequest(url: server.url).patient) }
            try await eventually("the request arrived") { server.counters.requests == 1 }
            task.cancel()
            let error = await task.value
            #expect(error?.code == .cancelled)
            #expect(error?.unsent == false)
            try await eventually("the connection is gone") { Descriptors.connected(to: server.port) == 0 }
        }
    }

    @Test("shutdown ends streams, those that wait for a head, and their writers")
    func shutdown() async throws {
        let server = try RawServer { connection in
            guard let head = connection.readHead() else { return }
            if head.hasPrefix("GET") { connection.write("HTTP/1.1 200 OK\r\n\r\nhello") }
            connection.drain()
        }
        defer { server.stop() }
        let client = CurlClient()
        let stream = try await client.open(CurlRequest(url: server.url).patient)
        let held = try await client.open(CurlRequest(url: server.url).patient, limits: CurlStreamLimits(window: 1))
        #expect(try await stream.next() == Array("hello".utf8))
        let reading = Task { await stream.failure() }
        let upload = CurlUpload(length: nil, window: 1)
        let opening = Task {
            await openingFailure(client, CurlRequest(method: "PUT", url: server.url).patient, upload: upload)
        }
        try await eventually("all arrived") { server.counters.connections == 3 }
        let writing = Task { await failureOfWriting(upload) }
        await client.shutdown()
        #expect(await reading.value.error?.code == .shutDown)
        #expect(await held.failure().error?.code == .shutDown)
        #expect(await opening.value?.code == .shutDown)
        #expect(await writing.value?.code == .shutDown)
        let late = await openingFailure(client, CurlRequest(url: server.url).patient)
        #expect(late?.code == .shutDown)
        #expect(late?.unsent == true)
        #expect(Descriptors.connected(to: server.port) == 0)
    }

    @Test("a stream and its transfer are freed")
    func noLeak() async throws {
        try await withServer(echo) { client, server in
            weak var weakStream: CurlStream?
            weak var weakUpload: CurlUpload?
            weak var weakTransfer: StreamTransfer?
            do {
                let upload = CurlUpload(length: 1)
                try await upload.write([1])
                upload.finish()
                let stream = try await client.open(CurlRequest(method: "POST", url: server.url).patient, upload: upload)
                #expect(try await stream.rest() == [1])
                weakStream = stream
                weakUpload = upload
                weakTransfer = stream.transfer
                #expect(weakTransfer != nil)
            }
            try await eventually("all are freed") { weakStream == nil && weakUpload == nil && weakTransfer == nil }
        }
    }
}

/// Writes until it fails.
func failureOfWriting(_ upload: CurlUpload) async -> CurlError? {
    do throws(CurlError) {
        while true { try await upload.write([UInt8](repeating: 9, count: 65536)) }
    } catch {
        return error
    }
}
