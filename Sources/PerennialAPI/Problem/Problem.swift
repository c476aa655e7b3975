import RefreshCore

/// An error as callers see it: `application/problem+json` (RFC 9457). Holds no secret and quotes no body.
struct Problem: Error, Sendable, Hashable {
    /// What went wrong; `urn:perennial:problem:<code>` is the type of the problem.
    enum Code: String, Sendable, Hashable, CaseIterable {
        case malformedBody = "malformed_body"
        case malformedRequest = "malformed_request"
        case invalidAccount = "invalid_account"
        case invalidAccountID = "invalid_account_id"
        case invalidETag = "invalid_etag"
        case unauthorized
        case insufficientScope = "insufficient_scope"
        case forbiddenHost = "forbidden_host"
        case forbiddenOrigin = "forbidden_origin"
        case notFound = "not_found"
        case accountNotFound = "account_not_found"
        case orphanNotFound = "orphan_not_found"
        case poolNotFound = "pool_not_found"
        case notInPool = "not_in_pool"
        case poolExhausted = "pool_exhausted"
        case methodNotAllowed = "method_not_allowed"
        case disabled
        case generationConflict = "generation_conflict"
        case otherProvider = "other_provider"
        case refreshUnderWay = "refresh_under_way"
        case refreshTokenRefused = "refresh_token_refused"
        case refreshTokenInUse = "refresh_token_in_use"
        case preconditionFailed = "precondition_failed"
        case notAcceptable = "not_acceptable"
        case bodyTooLarge = "body_too_large"
        case headersTooLarge = "headers_too_large"
        case unsupportedMediaType = "unsupported_media_type"
        case reauthRequired = "reauth_required"
        case outcomeUnknown = "outcome_unknown"
        case unknownProvider = "unknown_provider"
        case providerMisconfigured = "provider_misconfigured"
        case providerUnavailable = "provider_unavailable"
        case providerThrottled = "provider_throttled"
        case coolingDown = "cooling_down"
        case storeUnavailable = "store_unavailable"
        case storeRefused = "store_refused"
        case storeOutcomeUnknown = "store_outcome_unknown"
        case storeCorrupt = "store_corrupt"
        case sealingFailed = "sealing_failed"
        case journalUnavailable = "journal_unavailable"
        case timedOut = "timed_out"
        case shuttingDown = "shutting_down"
        case internalError = "internal_error"
        // Of the gateway.
        case routeNotFound = "route_not_found"
        case pathRefused = "path_refused"
        case choiceMissing = "choice_missing"
        case choiceRefused = "choice_refused"
        case expectationFailed = "expectation_failed"
        case bodyTooSlow = "body_too_slow"
        case notImplemented = "not_implemented"
        case upgradeRefused = "upgrade_refused"
        case loopDetected = "loop_detected"
        case tokenUnusable = "token_unusable"
        case upstreamUnreachable = "upstream_unreachable"
        case upstreamBroken = "upstream_broken"
        case upstreamTimeout = "upstream_timeout"
        case proxyFailed = "proxy_failed"
    }

    var code: Code
    /// What happened to this request, and what to do.
    var detail: String
    var status: Int
    var account: AccountID?
    var generation: Generation?
    var retryAt: WallTime?
    /// When a pool has an account again, where that is known; ``retryAt`` is spread over those who wait for it.
    var nextAt: WallTime?
    /// Of a failed refresh: why, as the account's last fault says it.
    var cause: RefreshFault.Kind?
    /// Further response headers: `Allow`, `WWW-Authenticate`.
    var headers: [Header] = []

    struct Header: Sendable, Hashable {
        var name: String
        var value: String
    }

    init(_ code: Code, _ detail: String, account: AccountID? = nil, generation: Generation? = nil) {
        self.code = code
        self.detail = detail
        self.status = code.status
        self.account = account
        self.generation = generation
    }

    /// Seconds after which another try makes sense: for `Retry-After` (RFC 9110 §10.2.3), at least 1.
    func retryAfter(now: WallTime) -> Int64? {
        if let retryAt { return max(1, ((retryAt - now).wholeMilliseconds + 999) / 1000) }
        return status == 503 ? 1 : nil
    }

    /// - Parameter instance: the path of the request, without its query.
    func body(instance: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("type")
            writer.string("urn:perennial:problem:\(code.rawValue)")
            writer.key("title")
            writer.string(code.title)
            writer.key("status")
            writer.integer(Int64(status))
            writer.key("detail")
            writer.string(detail)
            writer.key("instance")
            writer.string(instance)
            if let account {
                writer.key("account")
                writer.string(account.rawValue)
            }
            if let generation {
                writer.key("generation")
                writer.integer(generation.rawValue)
            }
            if let cause {
                writer.key("cause")
                writer.string(cause.rawValue)
            }
            for case (let key, let time?) in [("next_at", nextAt), ("retry_at", retryAt)] {
                writer.key(key)
                // Up, not down: a caller that comes back at this second has to be late enough.
                writer.time(Timestamp(WallTime(milliseconds: time.milliseconds &+ 999)))
            }
        }
        return writer.bytes
    }
}

extension Problem.Code {
    var status: Int {
        switch self {
        case .malformedBody, .malformedRequest, .invalidAccount, .invalidAccountID, .invalidETag, .pathRefused,
            .choiceMissing:
            400
        case .unauthorized: 401
        case .insufficientScope, .forbiddenHost, .forbiddenOrigin, .choiceRefused: 403
        case .notFound, .accountNotFound, .orphanNotFound, .routeNotFound, .poolNotFound, .notInPool: 404
        case .methodNotAllowed: 405
        case .notAcceptable: 406
        case .bodyTooSlow: 408
        case .disabled, .generationConflict, .otherProvider, .refreshUnderWay, .refreshTokenRefused,
            .refreshTokenInUse:
            409
        case .preconditionFailed: 412
        case .bodyTooLarge: 413
        case .unsupportedMediaType: 415
        case .expectationFailed: 417
        case .reauthRequired, .outcomeUnknown: 424
        case .poolExhausted: 429
        case .headersTooLarge: 431
        case .storeCorrupt, .sealingFailed, .internalError: 500
        case .notImplemented, .upgradeRefused: 501
        case .unknownProvider, .providerMisconfigured, .providerUnavailable, .tokenUnusable, .upstreamUnreachable,
            .upstreamBroken, .proxyFailed:
            502
        case .providerThrottled, .coolingDown, .storeUnavailable, .storeRefused, .storeOutcomeUnknown,
            .journalUnavailable, .timedOut, .shuttingDown:
            503
        case .upstreamTimeout: 504
        case .loopDetected: 508
        }
    }

    var title: String {
        switch self {
        case .malformedBody: "The request body is not acceptable"
        case .malformedRequest: "The request is not acceptable"
        case .invalidAccount: "The account is not acceptable"
        case .invalidAccountID: "The account id is not acceptable"
        case .invalidETag: "The ETag is not acceptable"
        case .unauthorized: "A valid caller key is needed"
        case .insufficientScope: "The caller key lacks a scope"
        case .forbiddenHost: "The host is not allowed"
        case .forbiddenOrigin: "The origin is not allowed"
        case .notFound: "There is nothing here"
        case .accountNotFound: "There is no such account"
        case .orphanNotFound: "There is no such orphan"
        case .poolNotFound: "There is no such pool"
        case .notInPool: "The account is not in the pool"
        case .poolExhausted: "No account of the pool is available"
        case .methodNotAllowed: "The method is not allowed here"
        case .notAcceptable: "The answer cannot be had in that form"
        case .disabled: "The account is paused"
        case .generationConflict: "The generation does not exist yet"
        case .otherProvider: "The account exists at another provider"
        case .refreshUnderWay: "A refresh is under way"
        case .refreshTokenRefused: "The refresh token was refused before"
        case .refreshTokenInUse: "The refresh token is that of another account"
        case .preconditionFailed: "The account is not at the expected generation"
        case .bodyTooLarge: "The request body is too large"
        case .headersTooLarge: "The request headers are too large"
        case .unsupportedMediaType: "The content type is not supported"
        case .reauthRequired: "The account needs new credentials"
        case .outcomeUnknown: "The outcome of a refresh is not known"
        case .unknownProvider: "The provider is not configured"
        case .providerMisconfigured: "The provider refuses this client"
        case .providerUnavailable: "The provider gives no usable answer"
        case .providerThrottled: "The provider asks to slow down"
        case .coolingDown: "A refresh has failed a moment ago"
        case .storeUnavailable: "The store is away"
        case .storeRefused: "The store refuses to work"
        case .storeOutcomeUnknown: "The store gave no answer"
        case .storeCorrupt: "The store holds something unreadable"
        case .sealingFailed: "A stored secret cannot be opened"
        case .journalUnavailable: "The journal cannot be written"
        case .timedOut: "Another refresh takes too long"
        case .shuttingDown: "The instance is shutting down"
        case .internalError: "The instance has failed"
        case .routeNotFound: "There is no such route"
        case .pathRefused: "The path is not acceptable"
        case .choiceMissing: "The request names no account"
        case .choiceRefused: "The route does not allow this choice"
        case .expectationFailed: "The expectation cannot be met"
        case .bodyTooSlow: "The request body came too slowly"
        case .notImplemented: "The request needs what is not supported"
        case .upgradeRefused: "The upgrade is not supported"
        case .loopDetected: "The request goes round in circles"
        case .tokenUnusable: "The token cannot be sent"
        case .upstreamUnreachable: "The upstream cannot be reached"
        case .upstreamBroken: "The upstream gives no usable answer"
        case .upstreamTimeout: "The upstream does not answer in time"
        case .proxyFailed: "The proxy of the account cannot be used"
        }
    }
}
