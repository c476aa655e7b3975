import RefreshCore

extension PerennialClient {
    /// What a call wants of a pool.
    public struct PoolCall: Sendable, Hashable {
        /// The model or scope that the call is about, where quotas are counted apart for each; at most 100 bytes.
        public var dimension: String?
        /// Pools with the strategy `sticky` give the same session the same account; at most 256 bytes.
        public var session: String?
        /// The token has to be good for at least this long, where the provider's tokens live that long.
        public var minimumTTL: Duration?
        /// How often the body runs at most, over all accounts.
        public var mostTries: Int

        public init(
            dimension: String? = nil, session: String? = nil, minimumTTL: Duration? = nil, mostTries: Int = 4
        ) {
            self.dimension = dimension
            self.session = session
            self.minimumTTL = minimumTTL
            self.mostTries = mostTries
        }
    }

    /// Runs `body` with a token of whichever account of the pool is available, and tells the fleet what became of it.
    ///
    /// What the body's error says of the token (``TokenJudging``) decides: a refused one is replaced and the body runs once
    /// more with the same account; after a second refusal, a used up quota or a throttled call the account is left out, cools
    /// down for all instances where that was the reason, and the next one is taken. Each account is blamed for its own calls
    /// only.
    ///
    /// - Parameters:
    ///   - name: of a pool of the configuration.
    ///   - call: what the call wants of it.
    ///   - body: one call, or calls that can be repeated.
    /// - Returns: what the body returns.
    /// - Throws: what the body throws when it is not about the token or ``PoolCall/mostTries`` is used up; ``PerennialError``
    ///   when no account is left, with the code `pool_exhausted`, the time of the next one and, as
    ///   ``PerennialError/underlying``, what the body has thrown last; or `CancellationError`.
    nonisolated(nonsending) public func withToken<Result>(
        pool name: String, _ call: PoolCall = PoolCall(),
        _ body: nonisolated(nonsending) (AccessToken) async throws -> Result
    ) async throws -> Result {
        var turn = try PoolTurn(name, call)
        let pools = try self.pools(turn.pool)
        try checkOpen()
        try await waitUntilReady(patience: Self.patience)
        while true {
            let token = try await pick(turn, from: pools)
            let result: Swift.Result<Result, any Error>
            do {
                result = .success(try await body(AccessToken(token, pool: turn.pool)))
            } catch {
                result = .failure(error)
            }
            // Nothing can be said of a configured token, and there is no other one.
            guard let pick = token.pick else { return try result.get() }
            let report = turn.judge(result.failure, of: pick, now: instance.time.wall())
            // A refresh for the next call is none of this one's business.
            await tell(report, pick.lease, to: pools, waits: turn.goesOn || report.changesPicks)
            guard turn.goesOn, result.failure != nil else { return try result.get() }
            try Task.checkCancellation()
        }
    }

    private func pools(_ pool: PoolName) throws(PerennialError) -> any PoolPicking {
        guard let pools else {
            throw PerennialError(
                .poolNotFound, "no pools are configured: add it under pools", remedy: .changeSetup, pool: pool)
        }
        return pools
    }

    private func pick(_ turn: PoolTurn, from pools: any PoolPicking) async throws -> PoolToken {
        let request = turn.request
        let picked = try await Abandonable.value { () async -> Swift.Result<PoolToken, PoolFailure> in
            do throws(PoolFailure) {
                return .success(try await pools.pick(request))
            } catch {
                return .failure(error)
            }
        } late: { result in
            // Nobody makes the call that it was for.
            if case .success(let token) = result, let lease = token.pick?.lease { await pools.release(lease) }
        }
        switch picked {
        case .success(let token): return token
        case .failure(let failure):
            var error = PerennialError(failure, pool: turn.pool)
            error.underlying = turn.lastError
            throw error
        }
    }

    /// On a task of its own: what a call has shown counts, whether or not its caller is still there.
    private func tell(_ report: PoolReport, _ lease: PoolLease?, to pools: any PoolPicking, waits: Bool) async {
        if pools.isNews(report) {
            // Where the store is away the report holds for this instance, which is all that can be done.
            let telling = Task { _ = try? await pools.report(report) }
            if waits { _ = await Abandonable.result { await telling.value } }
        }
        if let lease { _ = await Abandonable.result { await pools.release(lease) } }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { return error }
        return nil
    }
}
