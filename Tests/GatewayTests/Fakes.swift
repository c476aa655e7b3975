import Logging
import MetricsTestKit
import NIOConcurrencyHelpers
import Providers
import RefreshCore

@testable import Gateway

let now = WallTime(milliseconds: 1_795_255_020_000)
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func account(_ text: String) -> AccountID { try! AccountID(text) }
func pool(_ text: String) -> PoolName { try! PoolName(text) }

/// A value behind a lock.
final class Box<Value: Sendable>: Sendable {
    private let value: NIOLockedValueBox<Value>
    init(_ value: Value) { self.value = NIOLockedValueBox(value) }
    var current: Value { value.withLockedValue { $0 } }
    @discardableResult
    func change<Result>(_ body: (inout Value) -> Result) -> Result { value.withLockedValue { body(&$0) } }
}

/// Lets through, unless it is shut.
final class Gate: Sendable {
    private let state = NIOLockedValueBox((isShut: false, waiting: [CheckedContinuation<Void, Never>]()))

    func shut() { state.withLockedValue { $0.isShut = true } }

    func open() {
        let waiting = state.withLockedValue { state in
            state.isShut = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for one in waiting { one.resume() }
    }

    func pass() async {
        await withCheckedContinuation { continuation in
            let isShut = state.withLockedValue { state in
                if state.isShut { state.waiting.append(continuation) }
                return state.isShut
            }
            if !isShut { continuation.resume() }
        }
    }

    var isWaitedFor: Bool { state.withLockedValue { !$0.waiting.isEmpty } }
}

/// A clock that stands until it is moved.
final class StandingTime: TimeSource {
    private let elapsed = Box(Duration.zero)

    func advance(_ duration: Duration) { elapsed.change { $0 += duration } }
    func wall() -> WallTime { now + elapsed.current }
    func monotonic() -> MonotonicTime { MonotonicTime(nanoseconds: 0) + elapsed.current }
    /// Looks at the clock now and then: nothing here waits for the time of a machine.
    func sleep(until deadline: MonotonicTime) async throws {
        while monotonic() < deadline { try await Task.sleep(for: .milliseconds(2)) }
    }
}

extension TokenAnswer {
    static func of(
        _ id: String, _ generation: Int64, token: String? = nil, provider: String = "acme", proxy: ProxySetting? = nil
    ) -> TokenAnswer {
        let text = token ?? "\(id)-\(generation)"
        var snapshot = AccountSnapshot(
            id: account(id), provider: try! ProviderName(provider), name: "", generation: Generation(generation),
            accessToken: Secret(text), expiresAt: now + .seconds(3600), obtainedAt: now, createdAt: now, updatedAt: now)
        snapshot.proxy = proxy
        return TokenAnswer(snapshot, source: .memory, isStale: false)!
    }
}

/// Accounts whose tokens are named after their generation, which a refusal raises.
final class FakeTokens: GatewayTokens {
    let generations = Box<[AccountID: Int64]>([:])
    let refusals = Box<[AccountID: [Generation]]>([:])
    let failure = Box<RefreshFailure?>(nil)
    let texts = Box<[AccountID: String]>([:])
    let proxies = Box<[AccountID: ProxySetting]>([:])
    /// Were replaced a moment ago.
    let resting = Box<Set<AccountID>>([])
    /// A token that has to be fetched comes only when this is opened.
    let gate = Gate()

    func canReplace(_ account: AccountID, refused generation: Generation) -> Bool { !resting.current.contains(account) }

    func warm(_ account: AccountID) -> TokenAnswer? {
        generations.current[account].map {
            .of(account.rawValue, $0, token: texts.current[account], proxy: proxies.current[account])
        }
    }

    func serve(_ request: TokenRequest) async throws(RefreshFailure) -> ServedToken {
        await gate.pass()
        if let failure = failure.current { throw failure }
        let generation = generations.change { generations in
            var generation = generations[request.account] ?? 1
            if let refused = request.refused, refused.rawValue >= generation { generation = refused.rawValue + 1 }
            generations[request.account] = generation
            return generation
        }
        if let refused = request.refused { refusals.change { $0[request.account, default: []].append(refused) } }
        return .account(.of(request.account.rawValue, generation, token: texts.current[request.account]))
    }
}

/// Accounts in the order of their picking.
final class FakePools: PoolPicking {
    let accounts: [String]
    let generations = Box<[AccountID: Int64]>([:])
    let texts = Box<[AccountID: String]>([:])
    let proxies = Box<[AccountID: ProxySetting]>([:])
    let requests = Box<[PoolRequest]>([])
    let reports = Box<[PoolReport]>([])
    let leases = Box((taken: 0, released: 0))
    /// Leases that are kept at present, and how many have been.
    let kept = Box((now: 0, ever: 0))
    let gate = Gate()
    let reporting = Gate()
    /// Whether picks are tries of accounts that are cooling down.
    let probing = Box(false)
    /// Accounts of which a cool-down is remembered.
    let remembered = Box<Set<AccountID>>([])

    init(_ accounts: String...) { self.accounts = accounts }

    func pick(_ request: PoolRequest) async throws(PoolFailure) -> PoolToken {
        requests.change { $0.append(request) }
        await gate.pass()
        let free = accounts.map { account($0) }.filter { !request.excluded.contains($0) }
        guard let id = request.preferred.flatMap({ free.contains($0) ? $0 : nil }) ?? free.first else {
            throw PoolFailure(.exhausted, "all are spent", retryAfter: .seconds(90))
        }
        let number = leases.change { leases in
            leases.taken += 1
            return leases.taken
        }
        let lease = PoolLease(
            pool: request.pool, account: id, attempt: AttemptID(rawValue: "\(number)"), holdsSlot: true,
            isProbe: probing.current)
        return .account(
            PoolPick(
                pool: request.pool, tier: try! TierName("personal"),
                answer: .of(
                    id.rawValue, generations.current[id] ?? 1, token: texts.current[id], proxy: proxies.current[id]),
                lease: lease))
    }

    func keep(_ lease: PoolLease) async {
        kept.change { $0 = ($0.now + 1, $0.ever + 1) }
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(30)) }
        kept.change { $0.now -= 1 }
    }

    func report(_ report: PoolReport) async throws(PoolFailure) {
        await reporting.pass()
        reports.change { $0.append(report) }
        if report.outcome == .tokenRefused {
            generations.change { $0[report.account] = (report.generation?.rawValue ?? 1) + 1 }
        }
    }

    func isNews(_ report: PoolReport) -> Bool {
        report.outcome == .ok ? remembered.current.contains(report.account) : report.outcome != .failed
    }

    func release(_ lease: PoolLease) async { leases.change { $0.released += 1 } }
}

/// An answer in pieces.
final class FakeAnswer: UpstreamAnswer {
    let head: GatewayAnswerHead
    let trailers: [HeaderField]
    private let pieces: Box<[[UInt8]]>
    private let failure: UpstreamFailure?
    private let onPiece: @Sendable () async -> Void
    let isCancelled = Box(false)

    init(
        _ status: Int, _ body: String..., headers: [HeaderField] = [], trailers: [HeaderField] = [],
        failure: UpstreamFailure? = nil, onPiece: @escaping @Sendable () async -> Void = {}
    ) {
        self.onPiece = onPiece
        head = GatewayAnswerHead(status: status, headers: headers)
        pieces = Box(body.filter { !$0.isEmpty }.map { Array($0.utf8) })
        self.trailers = trailers
        self.failure = failure
    }

    func next() async throws(UpstreamFailure) -> [UInt8]? {
        let piece = pieces.change { $0.isEmpty ? nil : $0.removeFirst() }
        if piece == nil, let failure { throw failure }
        if piece != nil { await onPiece() }
        return piece
    }

    /// Nothing more comes in time after the pieces; what follows is given to who has no limit.
    func next(within limit: Duration) async throws(UpstreamFailure) -> [UInt8]? {
        let isStalled = pieces.current.first.map { $0 == Array(Self.pause.utf8) } ?? false
        guard isStalled else { return try await next() }
        pieces.change { _ = $0.removeFirst() }
        return []
    }

    /// A piece that stands for a while in which nothing comes.
    static let pause = "…"

    /// How many pieces nobody has asked for.
    var left: Int { pieces.current.count }

    func cancel() { isCancelled.change { $0 = true } }
}

/// Answers as it is told, and remembers what was asked.
final class FakeUpstream: Upstream {
    struct Seen: Sendable {
        var call: UpstreamCall
        var body: [UInt8]

        func header(_ name: String) -> String? {
            call.head.headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }
    }

    let seen = Box<[Seen]>([])
    /// Of the informational head.
    let early = Box<[HeaderField]>([("Link", "</a>")])
    private let answer: @Sendable (Seen) async throws(UpstreamFailure) -> FakeAnswer

    init(_ answer: @escaping @Sendable (Seen) async throws(UpstreamFailure) -> FakeAnswer) {
        self.answer = answer
    }

    func open(
        _ call: UpstreamCall, informational: @escaping @Sendable (GatewayAnswerHead) -> Void
    ) async throws(UpstreamFailure) -> any UpstreamAnswer {
        var body: [UInt8] = []
        switch call.body {
        case .none: break
        case .bytes(let bytes): body = bytes
        case .stream(_, let source):
            do {
                while let piece = try await source() { body += piece }
            } catch {
                throw error as? UpstreamFailure ?? UpstreamFailure(.body, isUnsent: false, "the body is cut")
            }
        }
        let seen = Seen(call: call, body: body)
        self.seen.change { $0.append(seen) }
        informational(GatewayAnswerHead(status: 103, headers: early.current))
        return try await answer(seen)
    }
}

/// A caller whose body comes in pieces, and who keeps what it gets.
final class FakeCaller: GatewayCaller {
    struct Got: Sendable {
        var informational: [Int] = []
        var informationalHeaders: [HeaderField] = []
        var head: GatewayAnswerHead?
        var framing: AnswerFraming?
        var body: [UInt8] = []
        /// The lengths of what was written at once.
        var writes: [Int] = []
        var trailers: [HeaderField]?

        var text: String { String(decoding: body, as: UTF8.self) }
        func header(_ name: String) -> String? {
            head?.headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }
    }

    let request: GatewayRequest
    private let pieces: Box<[[UInt8]]>
    private let fault: CallerFault?
    private let got = Box(Got())
    /// Pieces of the body that were asked for.
    let reads = Box(0)

    init(
        _ method: String = "GET", _ target: String = "/gw/api/things", headers: [HeaderField] = [],
        body: [String] = [], isChunked: Bool = false, fault: CallerFault? = nil, isKeyInAuthorization: Bool = false
    ) {
        let length = body.reduce(0) { $0 + $1.utf8.count }
        request = GatewayRequest(
            method: method, target: target, headers: headers,
            body: isChunked ? .unknown : length == 0 ? .none : .length(Int64(length)),
            isKeyInAuthorization: isKeyInAuthorization)
        pieces = Box(body.map { Array($0.utf8) })
        self.fault = fault
    }

    var answer: Got { got.current }

    func readBody(within limit: Duration) async throws(CallerFault) -> [UInt8]? {
        reads.change { $0 += 1 }
        let piece = pieces.change { $0.isEmpty ? nil : $0.removeFirst() }
        if piece == nil, let fault { throw fault }
        return piece
    }

    func inform(_ head: GatewayAnswerHead) {
        got.change { got in
            got.informational.append(head.status)
            got.informationalHeaders += head.headers
        }
    }

    func begin(_ head: GatewayAnswerHead, framing: AnswerFraming) async throws(CallerFault) {
        got.change { ($0.head, $0.framing) = (head, framing) }
    }

    func write(_ bytes: [UInt8], flushes: Bool) async throws(CallerFault) {
        got.change { got in
            got.body += bytes
            got.writes.append(bytes.count)
        }
    }

    func flush() {}

    func end(trailers: [HeaderField]) async throws(CallerFault) { got.change { $0.trailers = trailers } }
}

extension GatewayRoute {
    static func to(_ upstream: String = "https://api.example/v1", _ source: RouteSource? = nil) -> GatewayRoute {
        GatewayRoute(name: "api", upstream: try! UpstreamURL(upstream), source: source ?? .account(account("a")))
    }
}

extension SpillSettings {
    /// Whatever else fills this machine's disk.
    static var forTests: SpillSettings {
        var settings = SpillSettings()
        settings.keepsFree = 0
        return settings
    }
}

/// A gateway with its fakes.
struct House {
    let tokens = FakeTokens()
    let pools: FakePools?
    let upstream: FakeUpstream
    let time = StandingTime()
    let metrics = TestMetrics()
    let gateway: Gateway

    init(
        _ route: GatewayRoute = .to(), pools: FakePools? = nil, spillDirectory: String = "/tmp",
        spill: SpillSettings = .forTests,
        answer: @escaping @Sendable (FakeUpstream.Seen) async throws(UpstreamFailure) -> FakeAnswer
    ) {
        self.pools = pools
        upstream = FakeUpstream(answer)
        let definition = ProviderDefinition(
            name: try! ProviderName("acme"), tokenURL: "https://id.example/token", clientID: "c")
        gateway = Gateway(
            routes: RouteCatalog([route]), tokens: tokens, pools: pools, upstream: upstream,
            providers: ProviderCatalog([definition]), time: time, spillDirectory: spillDirectory, spill: spill,
            metrics: metrics, logger: quiet)
    }

    @discardableResult
    func serve(_ caller: FakeCaller = FakeCaller()) async throws(GatewayFailure) -> FakeCaller.Got {
        try await gateway.serve(caller)
        return caller.answer
    }

    /// Why the gateway answers by itself.
    func failure(_ caller: FakeCaller = FakeCaller()) async -> GatewayFailure? {
        do {
            try await gateway.serve(caller)
            return nil
        } catch {
            return error
        }
    }
}
