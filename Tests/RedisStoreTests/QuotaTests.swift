import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import RedisClient
import RedisStore
import RefreshCore
import Sealing
import Testing

/// A hosted service whose quota can be used up: from then on every command is answered with its error.
private final class QuotaPeer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct State {
        /// Nil: all is paid for.
        var refusal: String?
        var connections = 0
        var commands = 0
    }

    private let state: NIOLockedValueBox<State>
    private var unread = ByteBuffer()

    init(_ state: NIOLockedValueBox<State>) { self.state = state }

    func channelActive(context: ChannelHandlerContext) {
        state.withLockedValue { $0.connections += 1 }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        unread.writeImmutableBuffer(unwrapInboundIn(data))
        while let command = Self.command(from: &unread) {
            let refusal = state.withLockedValue { state -> String? in
                // A PING only asks whether the connection stands, when nothing came for a while.
                if command != "PING" { state.commands += 1 }
                return state.refusal
            }
            let answer = refusal.map { "-\($0)\r\n" } ?? Self.answer(command)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        }
    }

    /// The name of the next command, once all of it is there: an array of strings, whose bytes may be any.
    private static func command(from buffer: inout ByteBuffer) -> String? {
        var ahead = buffer
        guard let count = number(behind: "*", &ahead) else { return nil }
        var words: [ByteBuffer] = []
        for _ in 0..<count {
            guard let length = number(behind: "$", &ahead), let word = ahead.readSlice(length: length),
                ahead.readSlice(length: 2) != nil
            else { return nil }
            words.append(word)
        }
        buffer = ahead
        return words.first.map { String(buffer: $0) }
    }

    private static func number(behind mark: Unicode.Scalar, _ buffer: inout ByteBuffer) -> Int? {
        guard let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")),
            let line = buffer.readString(length: end + 1 - buffer.readerIndex)
        else { return nil }
        precondition(line.unicodeScalars.first == mark, "the client sends \(line)")
        return Int(line.dropFirst().prefix { $0.isNumber })
    }

    private static func answer(_ command: String) -> String {
        if command == "PING" { return "+PONG\r\n" }
        if command == "HGETALL" { return "*2\r\n$10\r\npartitions\r\n$1\r\n1\r\n" }
        if command == "TIME" { return "*2\r\n$10\r\n1800000000\r\n$1\r\n0\r\n" }
        return ":1\r\n"
    }

    static func run(
        _ body: (_ url: String, NIOLockedValueBox<State>) async throws -> Void
    ) async throws {
        let state = NIOLockedValueBox(State())
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(QuotaPeer(state))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body("redis://127.0.0.1:\(channel.localAddress?.port ?? 0)", state)
        } catch {
            try? await channel.close()
            throw error
        }
        try await channel.close()
    }
}

/// A quota that is used up means that the store is away, and is never asked about in a loop.
@Suite(.timeLimit(.minutes(10)))
struct QuotaTests {
    private static let refusals = [
        "ERR max requests limit exceeded. Limit: 500000, Usage: 500000.",
        "ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.",
    ]

    private func withClient(_ url: String, _ body: (RedisClient) async throws -> Void) async throws {
        var configuration = try RedisConfiguration(url: url)
        configuration.commandTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(60)
        let client = RedisClient(configuration: configuration, logger: .quiet)
        let running = Task { try await client.run() }
        do {
            try await client.waitUntilReady(timeout: .seconds(60))
            try await body(client)
        } catch {
            running.cancel()
            _ = await running.result
            throw error
        }
        running.cancel()
        _ = await running.result
    }

    private func link(_ client: RedisClient) throws -> RedisLink {
        RedisLink(
            client: client, keys: Keys(), ring: try KeyRing(keys: [.generate()]),
            clock: FleetClock(initialWall: WallTime(milliseconds: 0)), isFrugal: true)
    }

    private func failure(_ body: () async throws -> Void) async -> StoreError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? StoreError
        }
    }

    @Test(arguments: refusals) func theStoreIsAwayAndIsLeftAlone(refusal: String) async throws {
        try await QuotaPeer.run { url, state in
            try await withClient(url) { client in
                let link = try link(client)
                try await StoreMeta.open(link)
                let store = RedisAccountStore(link: link, origin: try InstanceID("one"))
                let account = try AccountID("a")
                let request = BeginRequest(
                    account: account, provider: try ProviderName("acme"), demand: .whenDue,
                    attempt: AttemptID(rawValue: "attempt-1"), origin: try InstanceID("one"), lockTTL: .seconds(30))
                state.withLockedValue { $0.refusal = refusal }
                let before = state.withLockedValue { $0 }
                let first = await failure { _ = try await store.begin(request) }
                #expect(first?.code == .unavailable)
                #expect(first?.message.contains("quota") == true, "\(first as Any)")
                let schedule = RedisScheduleStore(link: link)
                // Whoever tries again now is turned away here, whatever it is.
                for _ in 0..<20 {
                    #expect(await failure { _ = try await store.begin(request) }?.code == .unavailable)
                    #expect(await failure { _ = try await store.read(account) }?.code == .unavailable)
                    #expect(
                        await failure { _ = try await schedule.takeDue(limits: [:], hold: .zero) }?.code
                            == .unavailable)
                    #expect(await failure { try await StoreMeta.open(link) }?.code == .unavailable)
                }
                #expect(link.gate.reason?.code == .unavailable)
                let after = state.withLockedValue { $0 }
                #expect(after.commands - before.commands == 1)
                #expect(after.connections == before.connections)
            }
        }
    }

    /// Reconnecting would cost commands and help nothing: the connection stands, and says at the first command why not.
    @Test func aConnectionMadeWithoutQuotaStands() async throws {
        try await QuotaPeer.run { url, state in
            state.withLockedValue { $0.refusal = Self.refusals[0] }
            try await withClient(url) { client in
                let link = try link(client)
                #expect(await failure { try await StoreMeta.open(link) }?.code == .unavailable)
                try await Task.sleep(for: .milliseconds(300))
                #expect(state.withLockedValue { $0.connections } == 1)
            }
        }
    }
}
