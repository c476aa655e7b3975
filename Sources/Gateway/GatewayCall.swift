import Logging
import RefreshCore

/// One request through the gateway: performs what ``AttemptMachine`` decides.
struct GatewayCall {
    let gateway: Gateway
    let prepared: Gateway.Prepared
    let caller: any GatewayCaller
    private let startedAt: MonotonicTime
    private var machine: AttemptMachine
    var dimension: String?
    var session: String?
    var pick: PoolPick?
    /// Extends the lease of the pick.
    var leaseKeeper: Task<Void, Never>?
    /// Of the last try.
    var account: AccountID?

    var route: GatewayRoute { prepared.route }
    var log: AttemptLog { machine.log }

    init(gateway: Gateway, prepared: Gateway.Prepared, caller: any GatewayCaller) {
        self.gateway = gateway
        self.prepared = prepared
        self.caller = caller
        self.startedAt = gateway.time.monotonic()
        self.machine = AttemptMachine(source: nil, tries: 1)
    }

    mutating func run(_ target: RequestTarget) async throws(GatewayFailure) {
        do throws(GatewayFailure) {
            let (answer, body) = try await answer(target)
            try await passOn(answer, body)
        } catch {
            release()
            throw error
        }
        release()
    }

    /// The answer that is the caller's, and the request's body, which need not be kept any longer.
    private mutating func answer(
        _ target: RequestTarget
    ) async throws(GatewayFailure) -> (HeldAnswer, RequestBody) {
        let headers = try outgoingHeaders(target)
        let source = headers.hasOwnCredential ? nil : try source()
        machine = AttemptMachine(source: source, tries: route.budget.tries)
        let body = try await body()
        if case .pool = source { await describe(body) }
        return try await attempt(headers, body)
    }

    private func body() async throws(GatewayFailure) -> RequestBody {
        guard caller.request.body != .none else { return RequestBody(none: caller) }
        let (time, deadline) = (gateway.time, deadline)
        return try await RequestBody.collect(
            caller, limits: route.replay, idle: route.budget.idle, space: gateway.space,
            remaining: { deadline - time.monotonic() })
    }

    // MARK: Tries

    var deadline: MonotonicTime { startedAt + route.budget.deadline }

    var remaining: Duration { deadline - gateway.time.monotonic() }

    var isInTime: Bool { remaining > .zero }

    private mutating func attempt(
        _ headers: RequestHeaders, _ body: RequestBody
    ) async throws(GatewayFailure) -> (HeldAnswer, RequestBody) {
        var step = machine.begin()
        var grant = Grant(token: nil, credential: .own)
        var held: HeldAnswer?
        var failure = UpstreamFailure(.broken, isUnsent: true, "the call was not made")
        while true {
            switch step {
            case .take(let demand):
                grant = try await take(demand)
                step = machine.took(grant.credential)
            case .send:
                do throws(UpstreamFailure) {
                    let answer = try await send(headers, body, grant)
                    let verdict = try await judge(answer, grant)
                    let decision = machine.answered(
                        verdict.meaning, canRepeat: body.canRepeat, inTime: isInTime, canReplace: canReplace(grant))
                    if case .passOn = decision.step { held = answer } else { answer.stream.cancel() }
                    let report = decision.report ?? success(verdict.meaning, answer.head.status)
                    await tell(report, until: verdict.until, waits: decision.step != .passOn)
                    step = decision.step
                } catch {
                    if error.kind == .cancelled { throw GatewayFailure(.callerGone) }
                    failure = error
                    let decision = machine.broke(Self.reason(error), canRepeat: body.canRepeat, inTime: isInTime)
                    await tell(decision.report, until: nil, waits: decision.step != .fail)
                    step = decision.step
                }
            case .passOn:
                guard let answer = held else { throw GatewayFailure(.upstream(failure)) }
                return (answer, body)
            case .fail:
                throw GatewayFailure(isInTime ? .upstream(failure) : .late(failure.message))
            }
        }
    }

    private func canReplace(_ grant: Grant) -> Bool {
        guard case .account(let account, let generation) = grant.credential else { return true }
        return gateway.tokens.canReplace(account, refused: generation)
    }

    private static func reason(_ failure: UpstreamFailure) -> AttemptMachine.Break {
        switch failure.kind {
        case .proxy where failure.isUnsent: .proxy
        case .token: .token
        default: .upstream
        }
    }

    // MARK: The answer

    private mutating func passOn(_ answer: HeldAnswer, _ body: RequestBody) async throws(GatewayFailure) {
        body.drop()
        var head = answer.echo?.removed(from: answer.head) ?? answer.head
        let location = ProxiedLocation(route: route.name, upstream: route.upstream)
        head.headers = AnswerHeaders.passed(head.headers, policy: route.headers).map { field in
            guard ProxiedLocation.fields.contains(field.name.lowercased()) else { return field }
            return (field.name, location.rewritten(field.value))
        }
        if let length = answer.lengthOfNoBody { head.headers.append((name: "Content-Length", value: length)) }
        head.headers.append((name: "Perennial-Attempts", value: machine.log.description))
        if let account { head.headers.append((name: "Perennial-Account", value: account.rawValue)) }
        gateway.metrics.answered(
            route.name, status: head.status, machine.log, after: gateway.time.monotonic() - startedAt)
        do {
            try await AnswerRelay(caller: caller, answer: answer, body: body, policy: route.headers).run(head)
        } catch {
            answer.stream.cancel()
            // A connection that ends without a byte looks as if the call could be made again.
            caller.flush()
            let isCallers = error is CallerFault || Task.isCancelled || (error as? UpstreamFailure)?.kind == .cancelled
            throw GatewayFailure(isCallers ? .callerGone : .cut)
        }
    }
}
