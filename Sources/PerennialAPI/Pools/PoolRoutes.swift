import HTTPTypes
import JSONText
import RefreshCore

/// `/v1/pools`: a token of whichever account is available, and what became of the calls.
struct PoolRoutes: Sendable {
    /// Most accounts that a request can exclude.
    static let mostExcluded = 1000

    let backend: APIBackend

    private func desk() throws(Problem) -> PoolDesk {
        guard let desk = backend.pools else {
            throw Problem(.poolNotFound, "this instance has no pools: put them under pools in its configuration")
        }
        return desk
    }

    func list(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        try RequestQuery(api.query).finish(allowed: [])
        guard let desk = backend.pools else { return APIAnswer(body: PoolDocument.render([])) }
        do {
            return APIAnswer(body: PoolDocument.render(try await desk.statuses()))
        } catch {
            throw Problem(error, now: backend.time.wall())
        }
    }

    func show(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let pool = try api.route.poolName()
        try RequestQuery(api.query).finish(allowed: [])
        let desk = try desk()
        do {
            return APIAnswer(body: PoolDocument.render(try await desk.status(of: pool), now: backend.time.wall()))
        } catch {
            throw Problem(error, now: backend.time.wall())
        }
    }

    func token(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        var request = PoolRequest(pool: try api.route.poolName())
        var query = try RequestQuery(api.query)
        if let text = query.take("exclude") {
            request.excluded = try Self.excluded(text.split(separator: ",").map(String.init))
        }
        request.dimension = try Self.dimension(query.take("dimension"))
        request.session = try Self.session(query.take("session"))
        request.minimumTTL = try query.integer("min_ttl", in: 0...TokenRoutes.longestTTL).map { .seconds($0) }
        try query.finish(allowed: ["exclude", "dimension", "session", "min_ttl"])
        let token = try await pick(request)
        var writer = JSONWriter(capacity: 2048)
        PoolDocument.write(token, of: request.pool, now: backend.time.wall(), to: &writer)
        return answer(token, writer)
    }

    /// What became of a call; where that asks for another token, that too.
    func report(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let pool = try api.route.poolName()
        let desk = try desk()
        let body = try PoolReportBody(try await api.body(), pool: pool, now: backend.time.wall())
        let failure: PoolFailure?
        do {
            try await desk.report(body.report)
            failure = nil
        } catch {
            failure = error
        }
        // Whoever sends a report is through with the call, whatever comes of it.
        if let lease = body.report.lease { await desk.release(lease) }
        if let failure { throw Problem(failure, now: backend.time.wall()) }
        let token = body.next == nil ? nil : try await pick(body.next)
        var writer = JSONWriter(capacity: 2048)
        writer.object { writer in
            writer.key("outcome")
            writer.string(body.report.outcome.rawValue)
            writer.key("cooldown")
            let key = CooldownKey(account: body.report.account, dimension: body.report.dimension)
            if let cooldown = desk.cooldown(key, in: pool) {
                writer.object { PoolDocument.write(cooldown, to: &$0) }
            } else {
                writer.null()
            }
            writer.key("next")
            if let token {
                PoolDocument.write(token, of: pool, now: backend.time.wall(), to: &writer)
            } else {
                writer.null()
            }
        }
        return answer(token, writer)
    }

    /// `{"account": …, "for": seconds}` or with `until`; `dimension`, `cause`.
    func cooldown(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let pool = try api.route.poolName()
        let desk = try desk()
        let now = backend.time.wall()
        var fields = try JSONFields(try await api.body())
        let account = try Self.account(&fields)
        let dimension = try Self.dimension(fields.string("dimension"))
        let seconds = try Self.seconds(&fields, "for")
        let until = try AccountBody.time(fields.take("until"), of: "until")
        let cause = try Self.cause(&fields) ?? "put here by hand"
        try fields.finish(allowed: ["account", "for", "until", "dimension", "cause"])
        guard let end = until ?? seconds.map({ now + .seconds($0) }), until == nil || seconds == nil else {
            throw Problem(.malformedBody, "say for how long: give for (in seconds) or until, one of them")
        }
        guard end > now else { throw Problem(.malformedBody, "until is over already") }
        do {
            let cooldown = try await desk.cool(
                CooldownKey(account: account, dimension: dimension), in: pool, until: end, cause: cause)
            var writer = JSONWriter()
            writer.object { PoolDocument.write(cooldown, to: &$0) }
            return APIAnswer(body: writer.bytes)
        } catch {
            throw Problem(error, now: backend.time.wall())
        }
    }

    /// `{"account": …}`, or nothing for all.
    func release(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let pool = try api.route.poolName()
        let desk = try desk()
        let body = try await api.body()
        var account: AccountID?
        if !body.isEmpty {
            var fields = try JSONFields(body)
            account = try fields.string("account").map { text throws(Problem) in try Self.accountID(text) }
            try fields.finish(allowed: ["account"])
        }
        do {
            return APIAnswer(body: PoolDocument.render(released: try await desk.release(account, in: pool), of: pool))
        } catch {
            throw Problem(error, now: backend.time.wall())
        }
    }

    // MARK: Parts

    private func pick(_ request: PoolRequest?) async throws(Problem) -> PoolToken {
        let desk = try desk()
        guard let request else { throw Problem(.internalError, "no request") }
        do {
            return try await desk.pick(request)
        } catch {
            throw Problem(error, now: backend.time.wall())
        }
    }

    private func answer(_ token: PoolToken?, _ writer: JSONWriter) -> APIAnswer {
        var answer = APIAnswer(body: writer.bytes, isSecret: true)
        if case .fallback? = token { answer.isFallback = true }
        // A caller who is gone makes no call with it.
        if let lease = token?.pick?.lease, let desk = backend.pools {
            answer.undelivered = { await desk.release(lease) }
        }
        return answer
    }

    static func excluded(_ texts: [String]) throws(Problem) -> Set<AccountID> {
        guard texts.count <= mostExcluded else {
            throw Problem(
                .malformedRequest, "exclude names \(texts.count) accounts, at most \(mostExcluded) are allowed")
        }
        var accounts: Set<AccountID> = []
        for text in texts { accounts.insert(try accountID(text)) }
        return accounts
    }

    static func account(_ fields: inout JSONFields) throws(Problem) -> AccountID {
        guard let text = try fields.string("account") else { throw Problem(.malformedBody, "account is missing") }
        return try accountID(text)
    }

    private static func accountID(_ text: String) throws(Problem) -> AccountID {
        do {
            return try AccountID(text)
        } catch {
            throw Problem(.invalidAccountID, error.description)
        }
    }

    static func dimension(_ text: String?) throws(Problem) -> String? {
        try line(text, "dimension", atMost: PoolRequest.maximumDimension)
    }

    static func session(_ text: String?) throws(Problem) -> String? {
        try line(text, "session", atMost: PoolRequest.maximumSession)
    }

    static func cause(_ fields: inout JSONFields) throws(Problem) -> String? {
        try line(fields.string("cause"), "cause", atMost: PoolReport.maximumCause)
    }

    static func seconds(_ fields: inout JSONFields, _ name: String) throws(Problem) -> Int64? {
        switch fields.take(name) {
        case .none: return nil
        case .integer(let seconds) where (0...TokenRoutes.longestTTL).contains(seconds): return seconds
        default:
            throw Problem(
                .malformedBody, "\(name) has to be a whole number of seconds, up to \(TokenRoutes.longestTTL)")
        }
    }

    /// What a provider has said of when it may be asked again: no odd value of it keeps the report from counting.
    ///
    /// - Returns: nil for what says nothing: none, zero, or less.
    static func wait(_ fields: inout JSONFields, _ name: String) throws(Problem) -> Duration? {
        let seconds: Double
        switch fields.take(name) {
        case .none: return nil
        case .integer(let whole): seconds = Double(whole)
        case .number(let number): seconds = number
        case .some(let other):
            throw Problem(.malformedBody, "\(name) has to be a number of seconds, not \(other.kind)")
        }
        guard seconds > 0 else { return nil }
        return .milliseconds(Int64(min(seconds, longestWait) * 1000))
    }

    /// In seconds; the pool's own limit is shorter.
    private static let longestWait = 366.0 * 86_400

    private static func line(_ text: String?, _ name: String, atMost most: Int) throws(Problem) -> String? {
        guard let text, !text.isEmpty else { return nil }
        guard text.utf8.count <= most, text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
            throw Problem(.malformedRequest, "\(name) has to be at most \(most) bytes without control characters")
        }
        return text
    }
}
