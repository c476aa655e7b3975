import HTTPTypes
import RefreshCore

/// `/v1/accounts` and `/v1/accounts/{id}`: metadata and credentials, in which no token ever comes out again.
struct AccountRoutes: Sendable {
    static let defaultPage: Int64 = 100
    static let largestPage: Int64 = 1000

    let backend: APIBackend

    func list(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        var query = try RequestQuery(api.query)
        let after: AccountID?
        do {
            after = try query.take("after").map { text throws(InvalidName) in try AccountID(text) }
        } catch {
            throw Problem(.invalidAccountID, "after: \(error)")
        }
        let limit = try query.integer("limit", in: 1...Self.largestPage) ?? Self.defaultPage
        let filter = try AccountFilter(&query)
        try query.finish(allowed: ["after", "limit"] + AccountFilter.queryNames)
        var page: AccountPage
        do {
            page = try await backend.directory.list(after: after, limit: Int(limit))
        } catch {
            throw Problem(error)
        }
        // A page of what was looked at, which may hold few or none that are wanted; `next` goes on from there.
        page.accounts.removeAll { !filter.matches($0) }
        page.accounts = page.accounts.map { backend.policies.withGrantTerm($0) }
        return APIAnswer(body: AccountDocument.render(page))
    }

    func show(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let condition = try api.ifNoneMatch()
        let snapshot = try await read(id)
        if let condition, condition.matchesWeakly(snapshot.generation) {
            return APIAnswer(status: .notModified, etag: EntityTag(snapshot.generation))
        }
        let orphans: [Orphan]
        do {
            orphans = try await backend.orphans.orphans(of: id)
        } catch {
            throw Problem(error, account: id)
        }
        return APIAnswer(
            body: AccountDocument.render(backend.policies.withGrantTerm(snapshot), orphans: orphans),
            etag: EntityTag(snapshot.generation))
    }

    func put(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let (ifMatch, ifNoneMatch) = (try api.ifMatch(), try api.ifNoneMatch())
        if let ifNoneMatch, ifNoneMatch != .any {
            throw Problem(.invalidETag, "with PUT, If-None-Match can only be *: create, but never replace", account: id)
        }
        if ifMatch != nil, ifNoneMatch != nil {
            throw Problem(.invalidETag, "If-Match and If-None-Match exclude each other", account: id)
        }
        let body = try AccountBody(try await api.body())
        let expected = try await expectation(ifMatch, of: id, mustExist: false)
        let put: AccountPut
        do {
            put = try backend.intake.admit(
                id: id, provider: body.provider, name: body.name, credentials: body.credentials,
                overwrite: ifNoneMatch == nil ? .always : .never, ifGeneration: expected, traits: body.traits,
                isForced: body.isForced,
                now: backend.time.wall())
        } catch {
            throw Problem(error, account: id)
        }
        let reply: PutReply
        do {
            reply = try await backend.directory.put(put)
        } catch {
            throw Problem(error, account: id)
        }
        switch reply {
        case .created(let generation):
            var answer = await stored(put, generation)
            answer.status = .created
            answer.location = "/v1/accounts/\(id)"
            return answer
        case .replaced(let generation): return await stored(put, generation)
        case .kept(let generation):
            throw Problem(
                .preconditionFailed, "the account exists already: leave If-None-Match out to replace its credentials",
                account: id, generation: generation)
        case .conflict(let generation): throw conflict(id, generation)
        case .otherProvider(let provider):
            throw Problem(
                .otherProvider, "the account is one of provider \(provider): delete it first, or choose another id",
                account: id)
        case .tooManyLabels: throw tooManyLabels(id)
        case .refusedBefore: throw against(.refreshTokenRefused, reply, put)
        case .tokenInUse: throw against(.refreshTokenInUse, reply, put)
        }
    }

    private func against(_ code: Problem.Code, _ reply: PutReply, _ put: AccountPut) -> Problem {
        Problem(
            code, "\(reply.reasonAgainstToken(of: put) ?? ""); \"force\": true takes it all the same", account: put.id)
    }

    func patch(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let condition = try api.ifMatch()
        let body = try AccountPatch(try await api.body())
        if let name = body.name {
            do { try AccountIntake.check(name: name) } catch { throw Problem(error, account: id) }
        }
        return try await edit(id, AccountEdit(name: body.name, enabled: body.enabled, traits: body.traits), condition)
    }

    func setEnabled(_ enabled: Bool, _ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let condition = try api.ifMatch()
        let body = try await api.body()
        if !body.isEmpty { try JSONFields(body).finish(allowed: ["none"]) }
        return try await edit(id, AccountEdit(enabled: enabled), condition)
    }

    func delete(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let expected = try await expectation(try api.ifMatch(), of: id, mustExist: true)
        let reply: EditReply
        do {
            reply = try await backend.directory.remove(id, ifGeneration: expected)
        } catch {
            throw Problem(error, account: id)
        }
        switch reply {
        case .done:
            await backend.noteChange(
                AccountChange(account: id, generation: expected ?? Generation(0), outcome: .removed))
            return APIAnswer(status: .noContent)
        case .missing: throw .accountNotFound(id)
        case .conflict(let generation): throw conflict(id, generation)
        case .tooManyLabels: throw tooManyLabels(id)
        }
    }

    private func tooManyLabels(_ id: AccountID) -> Problem {
        Problem(
            .invalidAccount, "with these the account would have more than \(AccountLabels.maximumCount) labels",
            account: id)
    }

    private func edit(
        _ id: AccountID, _ edit: AccountEdit, _ condition: TagCondition?
    ) async throws(Problem) -> APIAnswer {
        var edit = edit
        edit.ifGeneration = try await expectation(condition, of: id, mustExist: true)
        let reply: EditReply
        do {
            reply = try await backend.directory.edit(id, edit)
        } catch {
            throw Problem(error, account: id)
        }
        switch reply {
        case .done:
            let snapshot = try await read(id)
            await backend.noteChange(AccountChange(account: id, generation: snapshot.generation, outcome: .edited))
            return answer(snapshot)
        case .missing: throw .accountNotFound(id)
        case .conflict(let generation): throw conflict(id, generation)
        case .tooManyLabels: throw tooManyLabels(id)
        }
    }

    /// The generation that the store is to insist on. A single tag goes to it as it is; `*` and lists have to be
    /// compared with what is there first.
    private func expectation(
        _ condition: TagCondition?, of id: AccountID, mustExist: Bool
    ) async throws(Problem) -> Generation? {
        guard let condition else { return nil }
        if case .tags(let strong, let weak) = condition, strong.count == 1, weak.isEmpty { return strong[0] }
        let snapshot: AccountSnapshot?
        do {
            snapshot = try await backend.directory.read(id)
        } catch {
            throw Problem(error, account: id)
        }
        guard let snapshot else { throw mustExist ? .accountNotFound(id) : conflict(id, nil) }
        switch condition {
        case .any: return snapshot.generation
        case .tags(let strong, _):
            // A weak tag never matches in If-Match (RFC 9110 §13.1.1).
            guard strong.contains(snapshot.generation) else { throw conflict(id, snapshot.generation) }
            return snapshot.generation
        }
    }

    private func conflict(_ id: AccountID, _ generation: Generation?) -> Problem {
        let state = generation.map { "it is at generation \($0)" } ?? "it does not exist"
        return Problem(
            .preconditionFailed, "If-Match names another generation: \(state); read the account and decide anew",
            account: id, generation: generation)
    }

    private func read(_ id: AccountID) async throws(Problem) -> AccountSnapshot {
        let snapshot: AccountSnapshot?
        do {
            snapshot = try await backend.directory.read(id)
        } catch {
            throw Problem(error, account: id)
        }
        guard let snapshot else { throw .accountNotFound(id) }
        return snapshot
    }

    private func answer(_ snapshot: AccountSnapshot) -> APIAnswer {
        APIAnswer(
            body: AccountDocument.render(backend.policies.withGrantTerm(snapshot)), etag: EntityTag(snapshot.generation)
        )
    }

    /// What an account is after one of its orphans was restored: a store that goes away now must not turn that into an
    /// error.
    func restored(_ id: AccountID, _ generation: Generation) async -> APIAnswer {
        guard let snapshot = try? await backend.directory.read(id) else {
            return APIAnswer(status: .noContent, etag: EntityTag(generation))
        }
        return answer(snapshot)
    }

    /// The credentials are stored: a store that goes away now must not turn that into an error.
    private func stored(_ put: AccountPut, _ generation: Generation) async -> APIAnswer {
        await backend.noteChange(AccountChange(account: put.id, generation: generation, outcome: .added))
        if let snapshot = try? await backend.directory.read(put.id) { return answer(snapshot) }
        return APIAnswer(body: AccountDocument.render(put, generation: generation), etag: EntityTag(generation))
    }
}
