import HTTPTypes

/// One double: accounts, rotation, reuse detection, orders and ledger, without HTTP and without a clock.
struct DoubleState: Sendable {
    let configuration: DoubleConfiguration
    let behaviour: any DoubleBehaviour
    private var clients: [String: String?]
    private var accounts: [String: DoubleAccount] = [:]
    /// Whose each refresh token is, spent ones included.
    private var owners: [String: String] = [:]
    /// Assertions that have been used: each is good once (RFC 7523 §3, 7.).
    private var assertions: Set<String> = []
    private var tokens: DoubleTokens
    private(set) var uses: [DoubleUse] = []
    /// For accounts that have none of their own.
    private var quota: DoubleQuota?
    let gauge = StreamGauge()

    init(configuration: DoubleConfiguration, seed: UInt64) {
        self.configuration = configuration
        behaviour = configuration.row.behaviour(configuration)
        clients = [configuration.clientID: configuration.clientSecret]
        tokens = DoubleTokens(configuration, seed: seed)
    }

    // MARK: Steering

    /// Adds an account, or gives one that exists a new grant, as its owner's new log-in would.
    ///
    /// - Parameter lifetime: of the access token that comes with it; negative for one that has expired.
    mutating func grant(_ id: String, lifetime: Duration, at now: MockInstant) -> DoubleGrant {
        var account = accounts[id] ?? DoubleAccount(id: id)
        account.isRevoked = false
        if configuration.row == .intranet { account.password = tokens.password() }
        if configuration.row == .clientCredentials { clients[id] = .some(configuration.clientSecret) }
        if configuration.row.rotation != .none {
            let token = tokens.refreshToken()
            account.refreshToken = token
            owners[token] = id
        }
        let expiresAt = now.advanced(by: lifetime)
        let accessToken = tokens.accessToken(of: id, at: now, expiresAt: expiresAt)
        account.accessTokens[accessToken] = expiresAt
        accounts[id] = account
        return DoubleGrant(
            account: id, refreshToken: account.refreshToken, accessToken: accessToken, expiresAt: expiresAt,
            password: account.password)
    }

    mutating func register(client id: String, secret: String?) { clients[id] = .some(secret) }

    /// False: there is no such account.
    mutating func order(_ order: DoubleOrder, times: Int, of account: String, phase: DoubleUse.Phase) -> Bool {
        guard accounts[account] != nil else { return false }
        switch phase {
        case .token: accounts[account]?.script.append(order, times: times)
        case .api: accounts[account]?.apiScript.append(order, times: times)
        }
        return true
    }

    /// Drops the orders that are left.
    mutating func heal(_ account: String) {
        accounts[account]?.script.clear()
        accounts[account]?.apiScript.clear()
    }

    mutating func revoke(_ account: String) { accounts[account]?.isRevoked = true }

    /// False: there is no such account.
    mutating func setQuota(_ quota: DoubleQuota?, of account: String?) -> Bool {
        guard let account else {
            self.quota = quota
            for id in accounts.keys { accounts[id]?.clearMeters() }
            return true
        }
        guard accounts[account] != nil else { return false }
        accounts[account]?.quota = quota
        accounts[account]?.clearMeters()
        return true
    }

    /// False: there is no such account.
    mutating func endAccessTokens(of account: String, at now: MockInstant) -> Bool {
        guard var known = accounts[account] else { return false }
        for (token, end) in known.accessTokens where end > now { known.accessTokens[token] = now }
        accounts[account] = known
        return true
    }

    // MARK: The token endpoint

    mutating func token(_ request: DoubleRequest, at now: MockInstant) -> MockReply {
        let credential: DoubleCredential
        do throws(DoubleRefusal) {
            guard request.path == behaviour.tokenPath else { throw .notFound }
            guard request.method == .post else { throw .wrongMethod }
            try checkApplication(request)
            credential = try behaviour.credential(
                in: request, for: DoubleJudge(configuration: configuration, clients: clients, now: now))
        } catch {
            return refuse(error, request, account: nil, credential: nil, at: now)
        }
        do throws(DoubleRefusal) {
            let id = try owner(of: credential)
            return serve(id, credential, request, at: now)
        } catch {
            return refuse(error, request, account: knownOwner(of: credential), credential: credential, at: now)
        }
    }

    private func checkApplication(_ request: DoubleRequest) throws(DoubleRefusal) {
        for (name, value) in configuration.requiredHeaders {
            let isThere = request.headers.contains {
                $0.name.rawName.lowercased() == name.lowercased() && $0.value == value
            }
            guard isThere else { throw .foreignApplication("it has no header \(name): \(value)") }
        }
        let smuggled = HostileAnswer.smuggledHeader.lowercased()
        guard !request.headers.contains(where: { $0.name.rawName.lowercased() == smuggled }) else {
            throw .foreignApplication("it has a header that came out of a token")
        }
    }

    /// Whose the credential is, good or not.
    private func knownOwner(of credential: DoubleCredential) -> String? {
        switch credential {
        case .refreshToken(let token): owners[token]
        case .client(let id), .subject(let id, assertion: _), .login(user: let id, password: _):
            accounts[id] == nil ? nil : id
        }
    }

    /// Judges what is presented. A refresh token that was replaced ends everything that descends from it (RFC 9700
    /// §4.14.2).
    private mutating func owner(of credential: DoubleCredential) throws(DoubleRefusal) -> String {
        guard let id = knownOwner(of: credential), let account = accounts[id] else { throw .unknown }
        switch credential {
        case .refreshToken(let token):
            guard token == account.refreshToken else {
                accounts[id]?.isRevoked = true
                throw .reused
            }
        case .subject(_, let assertion):
            guard assertions.insert(assertion).inserted else {
                throw .invalidAssertion("its assertion has been used before")
            }
        case .login(_, let password):
            guard password == account.password else { throw .wrongPassword }
        case .client: break
        }
        guard !account.isRevoked else { throw .revoked }
        return id
    }

    private mutating func refuse(
        _ refusal: DoubleRefusal, _ request: DoubleRequest, account: String?, credential: DoubleCredential?,
        at now: MockInstant
    ) -> MockReply {
        record(
            DoubleUse(
                at: now, phase: .token, path: request.path, account: account,
                presented: credential.map { TokenFingerprint(of: $0.text) },
                outcome: refusal.isMalformed ? .malformed(refusal.words) : .refused(refusal.words),
                isReuse: refusal == .reused, issued: nil))
        return behaviour.answer(refusal)
    }

    private mutating func serve(
        _ id: String, _ credential: DoubleCredential, _ request: DoubleRequest, at now: MockInstant
    ) -> MockReply {
        let order = accounts[id]?.script.next()
        let reply: MockReply
        var issued: DoubleIssued?
        switch order {
        case .fault(let name): reply = fault(name, behaviour.faults)
        case .throttle(let retryAfter): reply = throttled(retryAfter, at: now)
        case .omitRefreshToken: (reply, issued) = issue(to: id, omitsRefreshToken: true, spoiledBy: nil, at: now)
        case .hostile(let answer): (reply, issued) = issue(to: id, omitsRefreshToken: false, spoiledBy: answer, at: now)
        case nil: (reply, issued) = issue(to: id, omitsRefreshToken: false, spoiledBy: nil, at: now)
        }
        record(
            DoubleUse(
                at: now, phase: .token, path: request.path, account: id,
                presented: TokenFingerprint(of: credential.text),
                outcome: order.map { .ordered($0.name) } ?? .served, isReuse: false, issued: issued))
        return reply
    }

    private func fault(_ name: String, _ faults: [DoubleFault]) -> MockReply {
        // Orders are checked when they are given.
        faults.first { $0.name == name }?.reply ?? .error(.internalServerError, "server_error", "no such fault")
    }

    private func throttled(_ retryAfter: DoubleOrder.RetryAfter, at now: MockInstant) -> MockReply {
        var reply = behaviour.throttled
        switch retryAfter {
        case .seconds(let seconds): reply.headers[.retryAfter] = String(seconds)
        case .date(let seconds): reply.headers[.retryAfter] = CivilTime(now.advanced(by: .seconds(seconds))).http
        }
        return reply
    }

    private mutating func issue(
        to id: String, omitsRefreshToken: Bool, spoiledBy hostile: HostileAnswer?, at now: MockInstant
    ) -> (MockReply, DoubleIssued?) {
        guard var account = accounts[id] else { return (behaviour.answer(DoubleRefusal.unknown), nil) }
        let isServed = hostile?.isServed ?? true
        // To the second, so that every style of telling it says the same.
        let expiresAt = MockInstant(
            milliseconds: now.advanced(by: configuration.lifetime).flooredSeconds * 1000)
        let accessToken = tokens.accessToken(of: id, at: now, expiresAt: expiresAt)
        var returned: String?
        if !omitsRefreshToken {
            switch configuration.row.rotation {
            case .singleUse:
                let next = tokens.refreshToken()
                returned = next
                if isServed {
                    account.refreshToken = next
                    owners[next] = id
                }
            case .reusable(isReturned: true): returned = account.refreshToken
            case .reusable(isReturned: false), .none: break
            }
        }
        if isServed { account.accessTokens[accessToken] = expiresAt }
        accounts[id] = account
        var issue = DoubleIssue(
            account: id, accessToken: .text(accessToken), refreshToken: returned.map { .text($0) }, issuedAt: now,
            expiresAt: expiresAt)
        hostile?.spoil(&issue)
        var reply = behaviour.answer(issue)
        hostile?.spoil(&reply)
        guard isServed else { return (reply, nil) }
        return (
            reply,
            DoubleIssued(
                accessToken: TokenFingerprint(of: accessToken),
                refreshToken: account.refreshToken.map { TokenFingerprint(of: $0) },
                isRefreshTokenReturned: returned != nil, expiresAt: expiresAt)
        )
    }

    // MARK: The API

    mutating func api(_ request: DoubleRequest, at now: MockInstant) -> MockReply {
        let presented = request.presented { token in accounts.values.contains { $0.accessTokens[token] != nil } }
        let token = presented?.token
        let owner = token.flatMap { token in accounts.values.first { $0.accessTokens[token] != nil }?.id }
        let access = judge(token, owner: owner, at: now)
        let (reply, outcome) = answer(request, access, presented, at: now)
        record(
            DoubleUse(
                at: now, phase: .api, path: request.path, account: owner,
                presented: token.map { TokenFingerprint(of: $0) }, outcome: outcome, isReuse: false, issued: nil))
        return reply
    }

    private mutating func answer(
        _ request: DoubleRequest, _ access: DoubleAccess, _ presented: DoublePresented?, at now: MockInstant
    ) -> (MockReply, DoubleUse.Outcome) {
        let refused = behaviour.apiAnswer(access)
        switch access {
        case .missing: return (refused, .malformed("it has no access token"))
        case .unknown: return (refused, .refused("its access token was never issued"))
        case .expired: return (refused, .refused("its access token has expired"))
        case .revoked: return (refused, .refused("its access token has been revoked"))
        case .good(let id):
            guard let presented else { return (refused, .malformed("it has no access token")) }
            let order = accounts[id]?.apiScript.next()
            switch order {
            case .fault(let name): return (fault(name, behaviour.apiFaults), .ordered(name))
            case .throttle(let retryAfter):
                return (throttled(retryAfter, at: now), .ordered(DoubleOrder.throttle(retryAfter).name))
            case .hostile, .omitRefreshToken, nil: break
            }
            if let spent = spend(of: id, presented.token, at: now) { return (spent, .exhausted) }
            var reply =
                DoubleCall(path: request.path)?.answer(request, of: id, with: presented, gauge: gauge) ?? refused
            if case .hostile(let answer) = order { answer.spoil(&reply) }
            return (reply, order.map { .ordered($0.name) } ?? .served)
        }
    }

    /// What the account is told whose quota is spent; nil: it has calls left.
    private mutating func spend(of id: String, _ token: String, at now: MockInstant) -> MockReply? {
        guard let quota = accounts[id]?.quota ?? quota,
            let end = accounts[id]?.spend(quota, token: token, at: now)
        else { return nil }
        let faults = behaviour.apiFaults.filter { $0.meaning == .quota }
        var reply = faults.first { quota.fault == nil || $0.name == quota.fault }?.reply ?? behaviour.throttled
        quota.notice.tell(&reply, end: end, at: now)
        return reply
    }

    private func judge(_ token: String?, owner: String?, at now: MockInstant) -> DoubleAccess {
        guard let token, !token.isEmpty else { return .missing }
        guard let owner, let account = accounts[owner], let expiresAt = account.accessTokens[token] else {
            return .unknown
        }
        guard !account.isRevoked else { return .revoked }
        return now < expiresAt ? .good(account: owner) : .expired
    }

    // MARK: The ledger

    private mutating func record(_ use: DoubleUse) {
        var use = use
        use.sequence = uses.count + 1
        uses.append(use)
    }
}
