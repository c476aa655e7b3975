import Foundation
import Testing

@testable import CurlClient

/// Cancellation, shutdown, and what is left behind.
@Suite("Lifecycle", .serialized)
struct LifecycleTests {
    @Test("cancelled while the answer is due: at once, and not unsent")
    func cancelAfterSending() async throws {
        try await withServer { connection in
            _ = connection.readRequest()
            connection.drain()
        } _: { client, server in
            let task = Task { await failure(client, CurlRequest(url: server.url).patient) }
            try await eventually("the request arrived") { server.counters.requests == 1 }
            let start = ContinuousClock.now
            task.cancel()
            let error = await task.value
            #expect(error?.code == .cancelled)
            #expect(error?.unsent == false)
            #expect(ContinuousClock.now - start < .seconds(300))
        }
    }

    @Test("cancelled while TLS stalls, and before the call: unsent")
    func cancelBeforeSending() async throws {
        try await withServer({ $0.drain() }) { client, server in
            let task = Task { await failure(client, CurlRequest(url: "https://127.0.0.1:\(server.port)/").patient) }
            try await eventually("the handshake began") { server.counters.bytes > 0 }
            task.cancel()
            let error = await task.value
            #expect(error?.code == .cancelled)
            #expect(error?.unsent == true)

            let second = Task {
                while !Task.isCancelled { await Task.yield() }
                return await failure(client, CurlRequest(url: server.url).patient)
            }
            second.cancel()
            let other = await second.value
            #expect(other?.code == .cancelled)
            #expect(other?.unsent == true)
            #expect(server.counters.connections == 1)
        }
    }

    @Test("cancelling at any moment neither hangs nor crashes, and harms no other request")
    func cancelAnywhere() async throws {
        try await withServer(echo) { client, server in
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        let body = Array("\(number)".utf8)
                        let request = CurlRequest(method: "POST", url: server.url, body: body).patient
                        if number.isMultiple(of: 3) {
                            let response = try? await client.execute(request)
                            #expect(response?.body == body)
                            return
                        }
                        let task = Task { try? await client.execute(request).body }
                        for _ in 0..<(number % 17) { await Task.yield() }
                        task.cancel()
                        let answer = await task.value
                        #expect(answer == nil || answer == body)
                    }
                }
            }
        }
    }

    @Test("shutdown ends what is under way, and what comes later; twice is fine")
    func shutdown() async throws {
        let server = try RawServer { connection in
            _ = connection.readRequest()
            connection.drain()
        }
        defer { server.stop() }
        let client = CurlClient()
        let tasks = (0..<50).map { _ in Task { await failure(client, CurlRequest(url: server.url).patient) } }
        try await eventually("all requests arrived") { server.counters.requests == 50 }
        await client.shutdown()
        await client.shutdown()
        for task in tasks {
            let error = await task.value
            #expect(error?.code == .shutDown)
            #expect(error?.unsent == false)
        }
        let late = await failure(client, CurlRequest(url: server.url).patient)
        #expect(late?.code == .shutDown)
        #expect(late?.unsent == true)
        #expect(server.counters.requests == 50)
    }

    @Test("shutdown while requests keep coming: every one ends")
    func shutdownRace() async throws {
        try await withServer(echo) { _, server in
            for _ in 0..<20 {
                let client = CurlClient()
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<20 {
                        group.addTask {
                            do throws(CurlError) {
                                _ = try await client.execute(CurlRequest(url: server.url).patient)
                            } catch {
                                #expect(error.code == .shutDown)
                            }
                        }
                    }
                    group.addTask { await client.shutdown() }
                }
            }
        }
    }

    @Test("nothing is left open: descriptors of this client's connections are gone after shutdown")
    func descriptors() async throws {
        try await withServer(echo) { _, server in
            let client = CurlClient(configuration: CurlClientConfiguration(maxIdleConnections: 64))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<40 {
                    group.addTask { _ = try await client.execute(CurlRequest(url: server.url).patient) }
                }
                try await group.waitForAll()
            }
            #expect(Descriptors.connected(to: server.port) > 0)
            await client.shutdown()
            #expect(Descriptors.connected(to: server.port) == 0)
        }
    }

    @Test("the client and its transfers are freed")
    func noLeak() async throws {
        try await withServer(echo) { _, server in
            weak var weakLoop: CurlLoop?
            weak var weakTransfer: Transfer?
            do {
                let loop = try #require(CurlLoop(CurlClientConfiguration()))
                weakLoop = loop
                let outcome = await withCheckedContinuation { continuation in
                    let transfer = ExchangeTransfer(CurlRequest(url: server.url).patient)
                    weakTransfer = transfer
                    transfer.continuation = continuation
                    loop.submit(transfer)
                }
                #expect(throws: Never.self) { try outcome.get() }
                await loop.shutDown()
            }
            try await eventually("the transfer is freed") { weakTransfer == nil }
            try await eventually("the loop is freed") { weakLoop == nil }
        }
    }
}
