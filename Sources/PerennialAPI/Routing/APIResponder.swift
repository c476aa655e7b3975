import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import RefreshCore

/// Answers every request that the warm path did not: finds the route, checks the caller, and turns what is thrown
/// into problem documents.
struct APIResponder: Sendable {
    let backend: APIBackend
    let gatekeeper: Gatekeeper
    let isLocalSocket: Bool
    let logger: Logger

    func respond(_ request: Request, _ writer: consuming ResponseWriter) async throws {
        let rendered = await answer(request)
        let response = rendered.response
        do {
            if request.method == .head {
                // The length stays that of the body a GET would get (RFC 9110 §9.3.2).
                try await writer.writeResponse(response.head)
            } else {
                try await writer.write(response: response.head, body: response.body)
            }
        } catch {
            await rendered.undelivered?()
            throw error
        }
    }

    func answer(_ request: Request) async -> RenderedResponse {
        let target = request.head.path ?? "/"
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts.first ?? ""
        let rendered: RenderedResponse
        do {
            rendered = render(try await perform(request, path: path, query: parts.count > 1 ? parts[1] : nil))
        } catch {
            rendered =
                path.hasPrefix(ForwardAuthRoutes.prefix)
                ? render(ForwardAuthRoutes.refusal(error, now: backend.time.wall())) : render(error, path: path)
        }
        // Never the query nor a header: both can hold what nobody should read.
        logger.debug(
            "request",
            metadata: [
                "method": "\(request.method.rawValue)", "path": "\(path)", "status": "\(rendered.status.code)",
            ])
        return rendered
    }

    /// The answer to a plain `GET` of the account's token by a caller who may have it.
    func sharedAnswer(_ account: AccountID) async -> SharedAnswer {
        let rendered: RenderedResponse
        do {
            rendered = render(try await TokenRoutes(backend: backend).token(of: account))
        } catch {
            rendered = render(error, path: "/v1/accounts/\(account)/token")
        }
        return SharedAnswer(status: rendered.status.code, bytes: rendered.encoded)
    }

    private func perform(_ request: Request, path: Substring, query: Substring?) async throws(Problem) -> APIAnswer {
        guard let route = Route(path: path) else {
            throw Problem(
                .notFound,
                "there is nothing at this path: see /v1/accounts, /v1/pools, /v1/providers, /v1/instances, /livez, /readyz, /metrics"
            )
        }
        guard let scope = route.scope(for: request.method) else {
            let allowed = route.methods.map(\.method.rawValue).joined(separator: ", ")
            var problem = Problem(.methodNotAllowed, "allowed here: \(allowed)")
            problem.headers = [.init(name: "Allow", value: allowed)]
            throw problem
        }
        let evidence = evidence(of: request)
        if let scope { try gatekeeper.admit(evidence, needing: scope) }
        let api = APIRequest(request: request, route: route, path: path, query: query)
        switch route.place {
        case .accounts: return try await AccountRoutes(backend: backend).list(api)
        case .account: return try await account(api)
        case .token: return try await TokenRoutes(backend: backend).token(api)
        case .refresh: return try await TokenRoutes(backend: backend).refresh(api)
        case .pause: return try await AccountRoutes(backend: backend).setEnabled(false, api)
        case .resume: return try await AccountRoutes(backend: backend).setEnabled(true, api)
        case .orphans: return try await OrphanRoutes(backend: backend).list(api)
        case .orphan: return try await OrphanRoutes(backend: backend).drop(api)
        case .restore: return try await OrphanRoutes(backend: backend).restore(api)
        case .pools: return try await PoolRoutes(backend: backend).list(api)
        case .pool: return try await PoolRoutes(backend: backend).show(api)
        case .poolToken: return try await PoolRoutes(backend: backend).token(api)
        case .poolReport: return try await PoolRoutes(backend: backend).report(api)
        case .poolCooldown: return try await PoolRoutes(backend: backend).cooldown(api)
        case .poolRelease: return try await PoolRoutes(backend: backend).release(api)
        case .forwardAuth: return try await ForwardAuthRoutes(backend: backend).account(api)
        case .forwardAuthPool: return try await ForwardAuthRoutes(backend: backend).pool(api)
        case .mcp: return try await MCPRoutes(backend: backend, gatekeeper: gatekeeper).post(api, evidence)
        case .instances: return try await FleetRoutes(backend: backend).list(api)
        case .providers: return try await ProviderRoutes(backend: backend).list(api)
        case .metrics: return try FleetRoutes(backend: backend).metrics(api)
        case .livez: return FleetRoutes(backend: backend).alive()
        case .readyz:
            let isKnown = (try? gatekeeper.admit(evidence, needing: .read)) != nil
            return await FleetRoutes(backend: backend).ready(inDetail: isKnown)
        }
    }

    private func account(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let routes = AccountRoutes(backend: backend)
        switch api.method {
        case .put: return try await routes.put(api)
        case .patch: return try await routes.patch(api)
        case .delete: return try await routes.delete(api)
        default: return try await routes.show(api)
        }
    }

    private func evidence(of request: Request) -> CallerEvidence {
        let headers = request.headers
        return CallerEvidence(
            host: request.head.authority.map { $0[...] }, origin: headers[.origin].map { $0[...] },
            authorization: headers[.authorization].map { $0[...] }, key: headers[.perennialKey].map { $0[...] },
            isLocalSocket: isLocalSocket)
    }

    /// The order of the headers is that of the warm path.
    private func render(_ answer: APIAnswer) -> RenderedResponse {
        var headers = HTTPFields()
        if answer.body != nil { headers[.contentType] = answer.contentType }
        headers[.cacheControl] = answer.isSecret ? "no-store" : "no-cache"
        if let etag = answer.etag { headers[.eTag] = etag.description }
        if let location = answer.location { headers[.location] = location }
        if answer.isFallback { headers[.perennialSource] = "fallback" }
        for field in answer.headers { headers.append(field) }
        headers[.date] = HTTPDate.text(at: backend.time.wall())
        // A 304 or 204 has no body and says nothing of its length (RFC 9110 §8.6).
        let hasBody = answer.status != .noContent && answer.status != .notModified
        return RenderedResponse(
            status: answer.status, headers: headers, body: hasBody ? answer.body ?? [] : nil,
            undelivered: answer.undelivered)
    }

    func render(_ problem: Problem, path: Substring) -> RenderedResponse {
        let now = backend.time.wall()
        var headers = HTTPFields()
        headers[.contentType] = "application/problem+json"
        headers[.date] = HTTPDate.text(at: now)
        if let seconds = problem.retryAfter(now: now) { headers[.retryAfter] = String(seconds) }
        for header in problem.headers {
            if let name = HTTPField.Name(header.name) { headers[name] = header.value }
        }
        if let generation = problem.generation, problem.code == .preconditionFailed {
            headers[.eTag] = EntityTag(generation).description
        }
        headers[.cacheControl] = "no-store"
        return RenderedResponse(
            status: HTTPResponse.Status(code: problem.status), headers: headers,
            body: problem.body(instance: String(path)))
    }
}

extension HTTPField.Name {
    static let perennialKey = known("X-Perennial-Key")
    static let perennialSource = known("X-Perennial-Source")
    static let refusedGeneration = known("X-Perennial-Refused-Generation")

    static func known(_ name: String) -> HTTPField.Name {
        guard let field = HTTPField.Name(name) else { preconditionFailure("\(name) is not a header name") }
        return field
    }
}

/// The Date header (RFC 9110 §6.6.1).
enum HTTPDate {
    static func text(at time: WallTime) -> String {
        var bytes: [UInt8] = []
        Timestamp(time).appendHTTPDate(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
