import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import NIOConcurrencyHelpers
import NIOCore

/// Every path of the mock provider. Synchronous: a request is answered under one short lock, and only its delivery
/// takes time.
final class MockEndpoints: Sendable {
    private let tokenEndpoint: TokenEndpoint
    private let state: NIOLockedValueBox<MockProviderState>
    private let authorization: AuthorizationEndpoint
    private let calls = CallEndpoint()

    init(configuration: MockProviderConfiguration) {
        tokenEndpoint = TokenEndpoint(expiresInAsString: configuration.expiresInAsString)
        state = NIOLockedValueBox(MockProviderState(configuration: configuration))
        authorization = AuthorizationEndpoint(state: state)
    }

    /// The one place where the wall clock is read.
    static func now() -> MockInstant {
        MockInstant(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }

    /// Runs `body` with the provider's state to itself.
    func withState<Result: Sendable>(_ body: (inout MockProviderState, MockInstant) -> Result) -> Result {
        let now = Self.now()
        return state.withLockedValue { body(&$0, now) }
    }

    func answer(_ whole: MockHTTP.WholeRequest) -> MockReply {
        let (request, body) = (whole.request, whole.body)
        if DoubleCall(path: request.uri.path) != nil { return call(whole) }
        return switch (request.method, request.uri.path) {
        case (.post, "/oauth2/token"): token(request, body: body)
        case (.get, "/resource"): call(whole)
        case (.put, "/admin/quota"): replaceQuota(body)
        case (.delete, "/admin/quota"): setQuota(nil)
        case (.get, "/admin/calls"): callRecords(request)
        case (.get, "/ledger"): ledger(request)
        case (.get, "/livez"): .json(.ok, ByteBuffer(string: "{\"status\":\"ok\"}"))
        case (.post, "/admin/accounts"): seed(body)
        case (.post, "/admin/revoke"): revoke(body)
        case (.get, "/admin/faults"): .json(.ok, encoded(withState { state, _ in state.faults }))
        case (.put, "/admin/faults"): replaceFaults(body)
        case (.delete, "/admin/faults"): setFaults([])
        case (_, "/oauth2/token"), (_, "/admin/accounts"), (_, "/admin/revoke"): wrongMethod(allowed: "POST")
        case (_, "/resource"), (_, "/ledger"), (_, "/livez"): wrongMethod(allowed: "GET")
        case (_, "/admin/faults"): wrongMethod(allowed: "GET, PUT, DELETE")
        case (_, "/admin/quota"): wrongMethod(allowed: "PUT, DELETE")
        case (_, "/admin/calls"): wrongMethod(allowed: "GET")
        default:
            authorization.answer(request, body: body)
                ?? .error(.notFound, "not_found", "There is nothing at this path")
        }
    }

    private func wrongMethod(allowed: String) -> MockReply {
        var reply = MockReply.error(.methodNotAllowed, "method_not_allowed", "Allowed here: \(allowed)")
        reply.headers[.allow] = allowed
        return reply
    }

    // MARK: What the provider's clients call

    private func token(_ request: Request, body: ByteBuffer) -> MockReply {
        switch tokenEndpoint.parse(headers: request.headers, body: body) {
        case .refused(let reply): reply
        case .request(let request): tokenEndpoint.render(withState { $0.token(request, at: $1) })
        }
    }

    private func call(_ whole: MockHTTP.WholeRequest) -> MockReply {
        let request = DoubleRequest(whole)
        let answer = withState { $0.resource(bearer: request.bearer.map { $0[...] }, at: $1) }
        return calls.answer(request, answer, refusal: Self.refusal(answer), at: Self.now())
    }

    private static func refusal(_ answer: MockResourceAnswer) -> MockReply {
        var challenge = "Bearer"
        switch answer {
        case .expired:
            challenge += " error=\"invalid_token\", error_description=\"The access token expired\""
        case .invalid:
            challenge += " error=\"invalid_token\", error_description=\"The access token is unknown or revoked\""
        case .missing, .ok:
            break
        }
        var reply = MockReply.error(.unauthorized, "invalid_token", "A valid access token is needed")
        reply.headers[.wwwAuthenticate] = challenge
        return reply
    }

    // MARK: What its operator calls

    private func ledger(_ request: Request) -> MockReply {
        let query = request.uri.queryParameters
        let detail = query["detail"] == "1"
        var bounds: [String: Int] = ["after": 0, "limit": .max]
        for name in bounds.keys {
            guard let text = query[Substring(name)] else { continue }
            guard let number = Int(text), number >= 0 else {
                return .error(.badRequest, "invalid_request", "\(name) must be a number, 0 or more")
            }
            bounds[name] = number
        }
        guard detail else { return .json(.ok, encoded(withState { state, _ in state.totals })) }
        // A copy under the lock is cheap; expanding its entries is done outside.
        let snapshot = withState { state, _ in state }
        let ledger = snapshot.ledger(after: bounds["after"] ?? 0, limit: bounds["limit"] ?? .max)
        var body = encoded(ledger.totals)
        // Reopen the object to append the uses by hand: there may be a million.
        body.moveWriterIndex(to: body.writerIndex - 1)
        body.writeStaticString(",\"uses\":[")
        for (index, use) in ledger.uses.enumerated() {
            if index > 0 { body.writeStaticString(",") }
            body.writeJSON(use)
        }
        body.writeStaticString("]}")
        return .json(.ok, body)
    }

    private func seed(_ body: ByteBuffer) -> MockReply {
        do throws(MockProviderError) {
            let seed = try AdminEndpoint.decode(AdminEndpoint.Seed.self, from: body)
            let accounts = withState {
                $0.seedAccounts(
                    count: seed.count, prefix: seed.prefix, first: seed.first, lifetime: seed.firstLifetime, at: $1)
            }
            var lines = ByteBuffer()
            lines.reserveCapacity(accounts.count * 220)
            for account in accounts {
                lines.writeJSONLine(account, provider: seed.provider)
            }
            return MockReply(.ok, headers: MockReply.linesHeaders, body: lines)
        } catch {
            return .error(.badRequest, "invalid_request", error.message)
        }
    }

    private func revoke(_ body: ByteBuffer) -> MockReply {
        do throws(MockProviderError) {
            let revoke = try AdminEndpoint.decode(AdminEndpoint.Revoke.self, from: body)
            guard let count = withState({ state, _ in state.revoke(account: revoke.account) }) else {
                return .error(.notFound, "not_found", "There is no such account")
            }
            return .json(.ok, ByteBuffer(string: "{\"families_revoked\":\(count)}"))
        } catch {
            return .error(.badRequest, "invalid_request", error.message)
        }
    }

    private func replaceFaults(_ body: ByteBuffer) -> MockReply {
        do throws(MockProviderError) {
            return setFaults(try AdminEndpoint.decode([MockFault].self, from: body))
        } catch {
            return .error(.badRequest, "invalid_request", error.message)
        }
    }

    private func setFaults(_ faults: [MockFault]) -> MockReply {
        withState { state, _ in state.setFaults(faults) }
        return .json(.ok, encoded(faults))
    }

    private func replaceQuota(_ body: ByteBuffer) -> MockReply {
        do throws(MockProviderError) {
            return setQuota(try AdminEndpoint.decode(CallEndpoint.Quota.self, from: body))
        } catch {
            return .error(.badRequest, "invalid_request", error.message)
        }
    }

    private func setQuota(_ quota: CallEndpoint.Quota?) -> MockReply {
        calls.setQuota(quota)
        return .json(.ok, encoded(quota))
    }

    private func callRecords(_ request: Request) -> MockReply {
        let text = request.uri.queryParameters["after"] ?? "0"
        guard let after = Int(text), after >= 0 else {
            return .error(.badRequest, "invalid_request", "after must be a number, 0 or more")
        }
        return .json(.ok, encoded(calls.records(after: after)))
    }

    private func encoded(_ value: some Encodable) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Only non-finite numbers could fail to encode, and there are none here.
        return (try? encoder.encode(value)).map { ByteBuffer(bytes: $0) } ?? ByteBuffer(string: "{}")
    }
}
