import HTTPTypes
import HummingbirdCore
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Providers
import RefreshCore
import ServiceLifecycle

/// Waits on a loopback port for the browser to bring the answer of a log-in.
final class LoopbackReceiver: Sendable {
    private struct State {
        var request: AuthorizationRequest?
        var outcome: Result<(Secret, LoopbackReply), LoginError>?
        var waiter: CheckedContinuation<Void, Never>?
        var servers: [Task<Void, Never>] = []
        /// Requests whose pages have not been sent yet.
        var unanswered = 0
    }

    private let state = NIOLockedValueBox(State())

    /// - Parameters:
    ///   - host: `127.0.0.1`, `::1`, or `localhost`, which is both: a browser may take either.
    ///   - port: 0 for any.
    /// - Returns: the port; nil where it cannot be had.
    func listen(host: String, port: Int) async -> Int? {
        let hosts = host == "localhost" ? ["127.0.0.1", "::1"] : [host]
        guard let bound = await start(hosts[0], port) else { return nil }
        // A machine without IPv6 has only the one.
        for other in hosts.dropFirst() { _ = await start(other, bound) }
        return bound
    }

    private func start(_ host: String, _ port: Int) async -> Int? {
        let (bound, continuation) = AsyncStream<Int?>.makeStream()
        let quiet = Logger(label: "login") { _ in SwiftLogNoOpLogHandler() }
        let task = Task {
            do {
                let server = try HTTPServerBuilder.http1().buildServer(
                    configuration: ServerConfiguration(address: .hostname(host, port: port)),
                    eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet,
                    responder: { request, writer, _ in
                        self.state.withLockedValue { $0.unanswered += 1 }
                        defer { self.state.withLockedValue { $0.unanswered -= 1 } }
                        let page = await self.page(for: request)
                        try await writer.write(
                            response: page.head, body: ResponseBody(byteBuffer: ByteBuffer(string: page.html)))
                    },
                    onServerRunning: { channel in continuation.yield(channel.localAddress?.port) })
                try await server.run()
            } catch {
                continuation.yield(nil)
            }
            continuation.finish()
        }
        for await port in bound {
            guard let port else { break }
            state.withLockedValue { $0.servers.append(task) }
            return port
        }
        task.cancel()
        return nil
    }

    /// Waits for the one answer that belongs to `request`; others are told so, and passed over.
    ///
    /// - Throws: ``LoginError``.
    func answer(
        to request: AuthorizationRequest, within timeout: Duration
    ) async throws(LoginError) -> (Secret, LoopbackReply) {
        state.withLockedValue { $0.request = request }
        let timer = Task {
            try? await Task.sleep(for: timeout)
            if !Task.isCancelled {
                self.conclude(
                    .failure(LoginError(.expired, "nobody has come back from the browser in time: log in again")))
            }
        }
        await withCheckedContinuation { continuation in
            let isOver = state.withLockedValue { state in
                if state.outcome != nil { return true }
                state.waiter = continuation
                return false
            }
            if isOver { continuation.resume() }
        }
        timer.cancel()
        guard let outcome = state.withLockedValue({ $0.outcome }) else {
            throw LoginError(.expired, "the log-in was given up")
        }
        return try outcome.get()
    }

    /// Returns once browsers have been told what there is to tell; one that does not listen is not waited for long.
    func stop() async {
        let deadline = ContinuousClock.now + .seconds(2)
        while state.withLockedValue({ $0.unanswered > 0 }), ContinuousClock.now < deadline {
            guard (try? await Task.sleep(for: .milliseconds(10))) != nil else { break }
        }
        let servers = state.withLockedValue { state in
            defer { state.servers = [] }
            return state.servers
        }
        for server in servers { server.cancel() }
        for server in servers { await server.value }
    }

    /// False where an answer has been taken already.
    @discardableResult
    private func conclude(_ outcome: Result<(Secret, LoopbackReply), LoginError>) -> Bool {
        let (isFirst, waiter) = state.withLockedValue { state in
            guard state.outcome == nil else { return (false, CheckedContinuation<Void, Never>?.none) }
            state.outcome = outcome
            defer { state.waiter = nil }
            return (true, state.waiter)
        }
        waiter?.resume()
        return isFirst
    }

    // MARK: What the browser sees

    private func page(for request: Request) async -> LoopbackPage {
        guard let asked = state.withLockedValue({ $0.request }), request.uri.path == asked.redirectURI.path else {
            return LoopbackPage(.notFound, "Nothing here", "This address is only for the log-in that is under way.")
        }
        guard request.method == .get else {
            return LoopbackPage(.methodNotAllowed, "Not like this", "The answer of a log-in comes as a GET request.")
        }
        // A page elsewhere whose name leads to this address (DNS rebinding) has another host.
        guard request.head.authority == Self.authority(asked.redirectURI) else {
            return LoopbackPage(.badRequest, "Not for here", "The request names another host.")
        }
        do throws(LoginError) {
            let code = try asked.code(fromQuery: Substring(request.uri.query ?? ""))
            let reply = LoopbackReply(of: self)
            guard conclude(.success((code, reply))) else {
                return LoopbackPage(.gone, "Once is enough", "This log-in has had its answer already.")
            }
            return await reply.page()
        } catch {
            // Of somebody else, or of an older window: the right one may still come.
            guard error.code != .wrongState else {
                return LoopbackPage(.badRequest, "Not this log-in", error.description)
            }
            conclude(.failure(error))
            return LoopbackPage(.badRequest, "The log-in did not work", error.description)
        }
    }

    private static func authority(_ redirect: RedirectURI) -> String {
        let host = redirect.host.contains(":") ? "[\(redirect.host)]" : redirect.host
        return redirect.port.map { "\(host):\($0)" } ?? host
    }
}

/// The browser's request that brought the code: held until it is known what came of it, so that the page tells the truth.
final class LoopbackReply: Sendable {
    enum Outcome: Sendable {
        case success(AccountID)
        case failure(String)
    }

    private struct State {
        var outcome: Outcome?
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = NIOLockedValueBox(State())
    private let receiver: LoopbackReceiver
    /// Longer than that nobody looks at an empty window.
    private static let patience = Duration.seconds(15)

    init(of receiver: LoopbackReceiver) {
        self.receiver = receiver
    }

    func page() async -> LoopbackPage {
        let timer = Task {
            try? await Task.sleep(for: Self.patience)
            self.wake()
        }
        await withCheckedContinuation { continuation in
            let isOver = state.withLockedValue { state in
                if state.outcome != nil { return true }
                state.waiter = continuation
                return false
            }
            if isOver { continuation.resume() }
        }
        timer.cancel()
        switch state.withLockedValue({ $0.outcome }) {
        case .success(let account):
            return LoopbackPage(.ok, "You are logged in", "Account \(account) is stored. You can close this window.")
        case .failure(let reason): return LoopbackPage(.badGateway, "The log-in did not work", reason)
        case nil:
            return LoopbackPage(
                .ok, "Nearly there", "The answer has arrived and is being stored: the terminal tells what comes of it.")
        }
    }

    /// Says what came of it. Returns when the page has been sent and nothing is listened for any more.
    func finish(_ outcome: Outcome) async {
        state.withLockedValue { $0.outcome = outcome }
        wake()
        await receiver.stop()
    }

    private func wake() {
        let waiter = state.withLockedValue { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
