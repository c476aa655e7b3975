import HTTPTypes
import RefreshCore

/// `/v1/forward-auth/…`: the token of an account, or of a pool, as response headers, for proxies that ask before they forward a
/// request (nginx `auth_request`, Traefik `ForwardAuth`, Envoy `ext_authz`).
///
/// Any method is taken and no body is read: proxies send what they were sent. What stands in the path behind the account is
/// passed over, because Envoy appends the path of the original request.
struct ForwardAuthRoutes: Sendable {
    static let prefix = "/v1/forward-auth/"

    let backend: APIBackend

    func account(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let refused = try Self.refusal(api.headers)
        let served: ServedToken
        do {
            served = try await backend.reader.serve(TokenRequest(account: id, refused: refused.generation))
        } catch {
            throw Problem(error, account: id)
        }
        switch served {
        case .account(let answer): return Self.admit(answer)
        case .fallback(let token, _, _): return Self.admit(token, of: id)
        }
    }

    func pool(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let pool = try api.route.poolName()
        guard let desk = backend.pools else {
            throw Problem(.poolNotFound, "this instance has no pools: put them under pools in its configuration")
        }
        let refused = try Self.refusal(api.headers)
        var request = PoolRequest(pool: pool)
        do {
            if let account = refused.account {
                do throws(PoolFailure) {
                    try await desk.report(refused.report(of: account, in: pool, now: backend.time.wall()))
                } catch  where error.kind == .notInPool {
                    // It was moved or removed meanwhile: there are others.
                }
                if refused.reason == .token, let generation = refused.generation {
                    request.refused = [account: generation]
                    request.preferred = account
                } else {
                    request.excluded = [account]
                }
            }
            switch try await desk.pick(request) {
            case .account(let pick):
                // A proxy does not say when the call is over.
                if let lease = pick.lease { await desk.release(lease) }
                return Self.admit(pick.answer)
            case .fallback(let token, _): return Self.admit(token, of: nil)
            }
        } catch {
            throw Problem(error, now: backend.time.wall())
        }
    }

    private static func admit(_ answer: TokenAnswer) -> APIAnswer {
        var headers = HTTPFields()
        headers[.authorization] = "\(answer.snapshot.tokenType) \(answer.accessToken.reveal())"
        headers[.perennialAccount] = answer.snapshot.id.rawValue
        headers[.perennialGeneration] = "\(answer.snapshot.generation)"
        return APIAnswer(isSecret: true, headers: headers)
    }

    private static func admit(_ token: FallbackToken, of account: AccountID?) -> APIAnswer {
        var headers = HTTPFields()
        headers[.authorization] = "\(token.tokenType) \(token.token.reveal())"
        headers[.perennialAccount] = account?.rawValue
        return APIAnswer(isSecret: true, isFallback: true, headers: headers)
    }

    // MARK: Failures

    /// What a proxy can pass on, without a body, which some pass on as well: 401 for the proxy's own key, 403 where a person has
    /// to do something, 503 where waiting helps. The problem's code is a header.
    static func refusal(_ problem: Problem, now: WallTime) -> APIAnswer {
        var headers = HTTPFields()
        headers[.perennialError] = problem.code.rawValue
        let status: HTTPResponse.Status
        switch problem.code {
        case .unauthorized:
            status = .unauthorized
            for header in problem.headers { HTTPField.Name(header.name).map { headers[$0] = header.value } }
        // With a time for the next try it passes by itself.
        case .outcomeUnknown where problem.retryAt == nil, .insufficientScope, .forbiddenHost, .forbiddenOrigin,
            .accountNotFound, .poolNotFound, .notInPool, .disabled, .reauthRequired, .unknownProvider,
            .providerMisconfigured, .malformedRequest, .invalidAccountID, .notFound:
            status = .forbidden
        default:
            status = .serviceUnavailable
            headers[.retryAfter] = String(problem.retryAfter(now: now) ?? 1)
        }
        return APIAnswer(status: status, isSecret: true, headers: headers)
    }

    // MARK: What the call before has shown

    /// What a proxy says of the token that it got last.
    struct Refusal: Sendable, Hashable {
        enum Reason: String, Sendable, CaseIterable { case token, quota, throttled }

        var account: AccountID?
        var generation: Generation?
        var reason = Reason.token
        var retryAfter: Duration?

        func report(of account: AccountID, in pool: PoolName, now: WallTime) -> PoolReport {
            let outcome: PoolReport.Outcome =
                switch reason {
                case .token: .tokenRefused
                case .quota: .quota
                case .throttled: .throttled
                }
            return PoolReport(
                pool: pool, account: account, generation: generation, outcome: outcome,
                until: retryAfter.map { now + $0 }, cause: "a proxy has said so")
        }
    }

    /// - Throws: ``Problem`` (400) naming the header. An empty one counts as none: not all proxies can leave one out.
    static func refusal(_ headers: HTTPFields) throws(Problem) -> Refusal {
        var refusal = Refusal()
        func value(_ name: HTTPField.Name) -> String? {
            headers[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        if let text = value(.refusedAccount) {
            do {
                refusal.account = try AccountID(text)
            } catch {
                throw Problem(.invalidAccountID, "X-Perennial-Refused-Account: \(error.description)")
            }
        }
        if let text = value(.refusedGeneration) {
            refusal.generation = Generation(
                try RequestQuery.integer(
                    text, name: "X-Perennial-Refused-Generation", in: TokenRoutes.generations))
        }
        if let text = value(.refusedBecause) {
            guard let reason = Refusal.Reason(rawValue: text) else {
                throw Problem(.malformedRequest, "X-Perennial-Refused-Because has to be token, quota or throttled")
            }
            refusal.reason = reason
        }
        if let text = value(.refusedRetryAfter) {
            // As a provider says it; a date, or anything else, is as good as nothing.
            refusal.retryAfter = Int64(text).flatMap { (1...86_400 * 31).contains($0) ? .seconds($0) : nil }
        }
        return refusal
    }
}

extension HTTPField.Name {
    static let perennialAccount = known("Perennial-Account")
    static let perennialGeneration = known("Perennial-Generation")
    static let perennialError = known("Perennial-Error")
    static let refusedAccount = known("X-Perennial-Refused-Account")
    static let refusedBecause = known("X-Perennial-Refused-Because")
    static let refusedRetryAfter = known("X-Perennial-Refused-Retry-After")
}
