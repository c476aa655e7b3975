import JSONText
import RefreshCore

/// Does what the tools are for. Every result is the JSON of an object, and shows no token.
struct MCPToolbox: Sendable {
    static let defaultPage: Int64 = 50
    static let largestPage: Int64 = 200

    let backend: APIBackend

    func use(_ tool: MCPTool, _ arguments: inout JSONFields) async throws(Problem) -> [UInt8] {
        switch tool {
        case .listAccounts: try await listAccounts(&arguments)
        case .tokenStatus: try await tokenStatus(&arguments)
        case .refreshToken: try await refreshToken(&arguments)
        case .poolStatus: try await poolStatus(&arguments)
        }
    }

    private func listAccounts(_ arguments: inout JSONFields) async throws(Problem) -> [UInt8] {
        let filter = try AccountFilter(&arguments)
        let after = try arguments.string("after").map { text throws(Problem) in try Self.accountID(text) }
        let limit: Int64
        switch arguments.take("limit") {
        case .none: limit = Self.defaultPage
        case .integer(let number) where (1...Self.largestPage).contains(number): limit = number
        default: throw Problem(.malformedBody, "limit has to be a whole number from 1 to \(Self.largestPage)")
        }
        try arguments.finish(allowed: ["provider", "status", "pool", "tier", "after", "limit"])
        do {
            var page = try await backend.directory.list(after: after, limit: Int(limit))
            page.accounts.removeAll { !filter.matches($0) }
            page.accounts = page.accounts.map { backend.policies.withGrantTerm($0) }
            return AccountDocument.render(page)
        } catch {
            throw Problem(error)
        }
    }

    private func tokenStatus(_ arguments: inout JSONFields) async throws(Problem) -> [UInt8] {
        let id = try Self.account(&arguments)
        try arguments.finish(allowed: ["account"])
        let account = try await read(id)
        let isRefreshing = await backend.coordinator.isRefreshing(id)
        let now = backend.time.wall()
        var writer = JSONWriter(capacity: 512)
        writer.object { writer in
            writer.key("account")
            writer.string(account.id.rawValue)
            writer.key("provider")
            writer.string(account.provider.rawValue)
            writer.key("status")
            writer.string(account.shownStatus.rawValue)
            writer.key("generation")
            writer.integer(account.generation.rawValue)
            writer.key("valid")
            writer.bool(account.enabled && account.isValid(at: now))
            writer.key("expires_at")
            writer.time(Timestamp(account.expiresAt))
            writer.key("expires_in")
            writer.integer(account.remaining(at: now).wholeMilliseconds / 1000)
            writer.key("due_at")
            writer.time(Timestamp(account.dueAt))
            writer.key("next_attempt_at")
            writer.time(Timestamp(account.nextAttemptAt))
            writer.key("failures")
            writer.integer(Int64(account.failures))
            writer.key("last_fault")
            AccountDocument.write(account.lastFault, to: &writer)
            writer.key("refreshing")
            writer.bool(isRefreshing)
        }
        return writer.bytes
    }

    private func refreshToken(_ arguments: inout JSONFields) async throws(Problem) -> [UInt8] {
        let id = try Self.account(&arguments)
        guard let expected = try TokenRoutes.expectedGeneration(&arguments) else {
            throw Problem(.malformedBody, "if_generation is missing: token_status says which generation is the newest")
        }
        try arguments.finish(allowed: ["account", "if_generation"])
        let (account, outcome) = try await TokenRoutes(backend: backend).refresh(id, expected: expected)
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("account")
            writer.string(account.id.rawValue)
            writer.key("outcome")
            writer.string(outcome.rawValue)
            writer.key("generation")
            writer.integer(account.generation.rawValue)
            writer.key("expires_at")
            writer.time(Timestamp(account.expiresAt))
        }
        return writer.bytes
    }

    private func poolStatus(_ arguments: inout JSONFields) async throws(Problem) -> [UInt8] {
        let name = try arguments.string("pool").map { text throws(Problem) in try Self.pool(text) }
        try arguments.finish(allowed: ["pool"])
        guard let desk = backend.pools else {
            guard name == nil else {
                throw Problem(.poolNotFound, "this instance has no pools: put them under pools in its configuration")
            }
            return PoolDocument.render([])
        }
        do {
            guard let name else { return PoolDocument.render(try await desk.statuses()) }
            return PoolDocument.render(only: try await desk.status(of: name), now: backend.time.wall())
        } catch {
            throw Problem(error, now: backend.time.wall())
        }
    }

    // MARK: Parts

    private func read(_ id: AccountID) async throws(Problem) -> AccountSnapshot {
        do {
            if let account = try await backend.directory.read(id) { return account }
        } catch {
            throw Problem(error, account: id)
        }
        throw Problem(.accountNotFound, "no account \(id): list_accounts shows those there are", account: id)
    }

    private static func account(_ arguments: inout JSONFields) throws(Problem) -> AccountID {
        guard let text = try arguments.string("account") else { throw Problem(.malformedBody, "account is missing") }
        return try accountID(text)
    }

    private static func accountID(_ text: String) throws(Problem) -> AccountID {
        do { return try AccountID(text) } catch { throw Problem(.invalidAccountID, error.description) }
    }

    private static func pool(_ text: String) throws(Problem) -> PoolName {
        do { return try PoolName(text) } catch { throw Problem(.poolNotFound, error.description) }
    }
}
