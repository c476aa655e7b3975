import Providers
import RefreshCore

/// One try: its token, the call, and what the answer means.
extension GatewayCall {
    /// The token of one try, and what else depends on whose it is.
    struct Grant {
        var token: Secret?
        var credential: AttemptMachine.Credential
        var provider: ProviderName?
        var proxy: ProxySetting?
        /// A pool's.
        var pick: PoolPick?

        init(token: Secret?, credential: AttemptMachine.Credential) {
            self.token = token
            self.credential = credential
        }

        init(_ answer: TokenAnswer) {
            token = answer.accessToken
            credential = .account(answer.snapshot.id, answer.snapshot.generation)
            provider = answer.snapshot.provider
            proxy = answer.snapshot.proxy
        }
    }

    // MARK: The token

    mutating func take(_ demand: AttemptMachine.Demand) async throws(GatewayFailure) -> Grant {
        release()
        account = nil
        switch demand {
        case .own: return Grant(token: nil, credential: .own)
        case .account(let id, let refused):
            account = id
            if refused == nil, let answer = gateway.tokens.warm(id) { return Grant(answer) }
            return try await token(of: TokenRequest(account: id, refused: refused))
        case .pool(let name, let excluded, let refused, let preferred):
            let grant = try await pick(
                PoolRequest(
                    pool: name, excluded: excluded, dimension: dimension, session: session, refused: refused,
                    preferred: preferred))
            account = grant.pick?.account
            hold(grant.pick)
            return grant
        }
    }

    private func token(of request: TokenRequest) async throws(GatewayFailure) -> Grant {
        let result = await Abandonable.result(until: deadline, gateway.time) { [tokens = gateway.tokens] in
            do throws(RefreshFailure) {
                return Result<ServedToken, RefreshFailure>.success(try await tokens.serve(request))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case nil: throw noTokenInTime
        case .success(.account(let answer)): return Grant(answer)
        case .success(.fallback(let token, _, _)): return Grant(token: token.token, credential: .fallback)
        case .failure(let failure): throw GatewayFailure(.token(failure, request.account))
        }
    }

    private func pick(_ request: PoolRequest) async throws(GatewayFailure) -> Grant {
        guard let pools = gateway.pools else {
            throw GatewayFailure(.pool(PoolFailure(.poolNotFound, "no pool \(request.pool)"), request.pool))
        }
        let result = await Abandonable.result(until: deadline, gateway.time) {
            do throws(PoolFailure) {
                return Result<PoolToken, PoolFailure>.success(try await pools.pick(request))
            } catch {
                return .failure(error)
            }
        } late: { result in
            // Nobody makes the call that it was for.
            if case .success(.account(let pick)) = result, let lease = pick.lease { await pools.release(lease) }
        }
        switch result {
        case nil: throw noTokenInTime
        case .success(.account(let pick)):
            var grant = Grant(pick.answer)
            grant.pick = pick
            return grant
        case .success(.fallback(let token, _)): return Grant(token: token.token, credential: .fallback)
        case .failure(let failure): throw GatewayFailure(.pool(failure, request.pool))
        }
    }

    private var noTokenInTime: GatewayFailure {
        GatewayFailure(Task.isCancelled ? .callerGone : .late("no token was there in time"))
    }

    // MARK: The call

    func send(
        _ headers: RequestHeaders, _ body: RequestBody, _ grant: Grant
    ) async throws(UpstreamFailure) -> HeldAnswer {
        let left = remaining
        guard left > .zero else {
            throw UpstreamFailure(.timeout, isUnsent: true, "the time for the whole request was over")
        }
        let head: OutgoingHead
        do {
            head = try headers.outgoing(grant.token, passesEncoding: prepared.passesEncoding(grant.provider))
        } catch {
            let whose = account.map { "the token of account \($0)" } ?? "the token"
            throw UpstreamFailure(.token, isUnsent: true, "\(whose) \(error.description)")
        }
        let definition = grant.provider.flatMap { gateway.providers[$0] }
        let proxy = proxy(grant, definition)
        let budget = route.budget
        let call = UpstreamCall(
            method: caller.request.method, head: head, body: body.outgoing(), proxy: proxy,
            proxyCAFile: definition?.proxy?.caFile, caFile: route.caFile, connect: min(budget.connect, left),
            firstByte: min(budget.firstByte, left), untilHead: left, idle: budget.idle)
        let policy = route.headers
        let echo = grant.token.map { TokenEcho($0, route.injection) }
        do throws(UpstreamFailure) {
            let stream = try await gateway.upstream.open(call) { [caller] head in
                // 100 is this server's affair, and 101 cannot come.
                guard (102...199).contains(head.status) else { return }
                var head = echo?.removed(from: head) ?? head
                head.headers = AnswerHeaders.passed(head.headers, policy: policy)
                caller.inform(head)
            }
            return try HeldAnswer(stream, method: caller.request.method, echo: echo)
        } catch {
            // One that takes no connection, or makes none to the upstream, in the time that a connection may take.
            guard proxy != nil, error.kind == .timeout, error.isUnsent, isInTime else { throw error }
            throw UpstreamFailure(.proxy, isUnsent: true, "there was no connection by way of the proxy in time")
        }
    }

    /// The account's, else its provider's. What goes to this machine in the clear does not go round by another one: the token
    /// would.
    private func proxy(_ grant: Grant, _ definition: ProviderDefinition?) -> ProxyServer? {
        guard case .server(let server)? = grant.proxy ?? definition?.proxy?.setting else { return nil }
        return route.upstream.isPlainAndLocal && !EndpointURL.isLoopback(host: server.host) ? nil : server
    }

    // MARK: The meaning

    /// What the answer means; holds back as much of its body as that takes, and not for long.
    func judge(_ answer: HeldAnswer, _ grant: Grant) async throws(UpstreamFailure) -> RuleSheet.Verdict {
        let sheet = prepared.book.sheet(grant.provider)
        let head = answer.head
        let interest = sheet.interest(
            status: head.status, contentType: AnswerHeaders.value("content-type", in: head.headers),
            length: answer.length)
        switch interest {
        case .none: return RuleSheet.Verdict(meaning: .none)
        case .head: break
        case .body where !answer.isReadable: break
        case .body(let whole): try await hold(answer, whole: whole)
        }
        return sheet.verdict(
            status: head.status, headers: head.headers,
            body: answer.hasEnded
                ? answer.held
                : answer.held.isEmpty
                    ? RuleSheet.unseen : answer.held, now: gateway.time.wall())
    }

    private func hold(_ answer: HeldAnswer, whole: Bool) async throws(UpstreamFailure) {
        let end = gateway.time.monotonic() + min(RuleSheet.longestHold, remaining)
        while answer.held.count < RuleSheet.mostHeld, !answer.hasEnded {
            if whole, answer.isNoDocument { return }
            let left = end - gateway.time.monotonic()
            // A healthy answer may be a slow one.
            guard left > .zero, try await answer.hold(within: left) else { return }
        }
    }
}
