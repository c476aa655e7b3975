import HTTPTypes
import RefreshCore

/// `/v1/accounts/{id}/orphans`: token responses that came too late, for people to decide on.
struct OrphanRoutes: Sendable {
    let backend: APIBackend

    func list(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        try RequestQuery(api.query).finish(allowed: [])
        do {
            return APIAnswer(body: OrphanDocument.render(try await backend.orphans.orphans(of: id), of: id))
        } catch {
            throw Problem(error, account: id)
        }
    }

    /// `{"force": true}`, or nothing.
    func restore(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let attempt = try api.route.attemptID()
        let force = try Self.force(try await api.body())
        let reply: RestoreReply
        do {
            reply = try await backend.orphans.restore(attempt, of: id, force: force)
        } catch {
            throw Problem(error, account: id)
        }
        switch reply {
        case .restored(let generation):
            await backend.noteChange(AccountChange(account: id, generation: generation, outcome: .added))
            return await AccountRoutes(backend: backend).restored(id, generation)
        case .busy(let obstacle):
            throw Problem(
                .refreshUnderWay,
                "\(obstacle.sentence): wait for its end, or send {\"force\": true}; its answer is an orphan then",
                account: id)
        case .noOrphan: throw Self.notFound(id)
        case .noAccount: throw .accountNotFound(id)
        case .otherProvider(let account, let orphan):
            throw Problem(
                .otherProvider,
                "provider \(orphan) issued this orphan, and the account is one of provider \(account) now", account: id)
        }
    }

    func drop(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let attempt = try api.route.attemptID()
        let reply: DropReply
        do {
            reply = try await backend.orphans.drop(attempt, of: id)
        } catch {
            throw Problem(error, account: id)
        }
        switch reply {
        case .dropped, .droppedLast: return APIAnswer(status: .noContent)
        case .noOrphan: throw Self.notFound(id)
        }
    }

    private static func force(_ body: [UInt8]) throws(Problem) -> Bool {
        guard !body.isEmpty else { return false }
        var fields = try JSONFields(body)
        let force = try fields.bool("force") ?? false
        try fields.finish(allowed: ["force"])
        return force
    }

    private static func notFound(_ id: AccountID) -> Problem {
        Problem(
            .orphanNotFound, "the account has no orphan of this attempt: GET /v1/accounts/{id}/orphans lists them",
            account: id)
    }
}
