import HTTPTypes
import JSONText
import RefreshCore

/// `GET /v1/accounts/{id}/token` and `POST /v1/accounts/{id}/refresh`.
struct TokenRoutes: Sendable {
    /// Longest `min_ttl`, in seconds: ten years.
    static let longestTTL: Int64 = 315_360_000
    /// Generations stay exact in doubles.
    static let generations: ClosedRange<Int64> = 0...(1 << 53)

    let backend: APIBackend

    func token(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        var query = try RequestQuery(api.query)
        let minimum = try query.integer("min_ttl", in: 0...Self.longestTTL)
        var refused = try query.integer("refused_generation", in: Self.generations)
        try query.finish(allowed: ["min_ttl", "refused_generation"])
        if let text = api.headers[.refusedGeneration] {
            let header = try RequestQuery.integer(text, name: "X-Perennial-Refused-Generation", in: Self.generations)
            refused = max(refused ?? header, header)
        }
        let condition = try api.ifNoneMatch()
        let served = try await read(
            TokenRequest(
                account: id, minimumTTL: minimum.map { .seconds($0) }, refused: refused.map { Generation($0) }))
        // A fallback token is of no generation: no condition matches it, and it gets no tag that one could refer to.
        guard case .account(let answer) = served else { return document(served) }
        let tag = EntityTag(answer.snapshot.generation)
        if let condition, condition.matchesWeakly(answer.snapshot.generation) {
            return APIAnswer(status: .notModified, etag: tag, isSecret: true)
        }
        return document(served)
    }

    /// A plain read: no condition, no demand on the token.
    func token(of id: AccountID) async throws(Problem) -> APIAnswer {
        document(try await read(TokenRequest(account: id)))
    }

    private func read(_ request: TokenRequest) async throws(Problem) -> ServedToken {
        do {
            return try await backend.reader.serve(request)
        } catch {
            throw Problem(error, account: request.account)
        }
    }

    private func document(_ served: ServedToken) -> APIAnswer {
        var writer = JSONWriter(capacity: 2048)
        switch served {
        case .account(let answer):
            TokenDocument.write(answer, now: backend.time.wall(), to: &writer)
            return APIAnswer(body: writer.bytes, etag: EntityTag(answer.snapshot.generation), isSecret: true)
        case .fallback(let token, let account, let failure):
            TokenDocument.write(token, of: account, because: failure.code.rawValue, to: &writer)
            return APIAnswer(body: writer.bytes, isSecret: true, isFallback: true)
        }
    }

    func refresh(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        let id = try api.route.accountID()
        let body = try await api.body()
        var expected: Generation?
        if !body.isEmpty {
            var fields = try JSONFields(body)
            expected = try Self.expectedGeneration(&fields)
            try fields.finish(allowed: ["if_generation"])
        }
        let (snapshot, outcome) = try await refresh(id, expected: expected)
        return Self.answer(snapshot, outcome)
    }

    /// - Parameter expected: the generation that is to be replaced; where it is no longer the newest nothing is done. Nil:
    ///   whichever is the newest.
    func refresh(
        _ id: AccountID, expected: Generation?
    ) async throws(Problem) -> (AccountSnapshot, RefreshCoordinator.Outcome) {
        let snapshot: AccountSnapshot?
        do {
            snapshot = try await backend.directory.read(id)
        } catch {
            throw Problem(error, account: id)
        }
        guard let snapshot else { throw .accountNotFound(id) }
        guard snapshot.enabled else {
            throw Problem(
                .disabled, "account \(id) is paused: resume it first", account: id, generation: snapshot.generation)
        }
        if let expected {
            if expected > snapshot.generation {
                throw Problem(
                    .generationConflict,
                    "if_generation is \(expected), but the account is at generation \(snapshot.generation)",
                    account: id, generation: snapshot.generation)
            }
            if expected < snapshot.generation { return (snapshot, .alreadyNewer) }
        }
        let (result, outcome) = await backend.coordinator.refresh(
            id, provider: snapshot.provider, demand: .newerThan(snapshot.generation), ignoresBackoff: expected == nil)
        switch result {
        case .refreshed(let newer), .newer(let newer): return (newer, outcome)
        case .failed(let failure, let newest):
            throw Problem(failure, account: id, generation: (newest ?? snapshot).generation)
        }
    }

    /// The member `if_generation`, or nil.
    static func expectedGeneration(_ fields: inout JSONFields) throws(Problem) -> Generation? {
        switch fields.take("if_generation") {
        case .none: return nil
        case .integer(let number) where generations.contains(number): return Generation(number)
        default:
            throw Problem(.malformedBody, "if_generation has to be a whole number from 0 to \(generations.upperBound)")
        }
    }

    private static func answer(_ snapshot: AccountSnapshot, _ outcome: RefreshCoordinator.Outcome) -> APIAnswer {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("outcome")
            writer.string(outcome.rawValue)
            writer.key("generation")
            writer.integer(snapshot.generation.rawValue)
            writer.key("expires_at")
            writer.time(Timestamp(snapshot.expiresAt))
        }
        return APIAnswer(body: writer.bytes, etag: EntityTag(snapshot.generation), isSecret: true)
    }
}
