import RefreshCore

extension PerennialClient {
    /// A token for the account that is good right now. From memory, without a suspension and without a Redis command, as long
    /// as there is a fresh one; else it is read, or refreshed, by one caller for all.
    ///
    /// - Parameters:
    ///   - account: its id.
    ///   - minimumTTL: it has to be good for at least this long, where the provider's tokens live that long.
    /// - Throws: ``PerennialError``, or `CancellationError`. A refresh that a cancelled caller has caused lands all the same.
    public func accessToken(for account: String, minimumTTL: Duration? = nil) async throws -> AccessToken {
        let account = try Self.accountID(account)
        try checkOpen()
        if minimumTTL == nil, let answer = instance.reader.warm(account) { return AccessToken(answer) }
        return try await read(TokenRequest(account: account, minimumTTL: minimumTTL))
    }

    /// A token newer than one that was refused. However many report the same one, at whatever instance: it is replaced once.
    ///
    /// - Parameters:
    ///   - refused: the token that the call was made with.
    ///   - minimumTTL: the new one has to be good for at least this long.
    /// - Throws: ``PerennialError`` when there is no newer one, or `CancellationError`.
    public func accessToken(replacing refused: AccessToken, minimumTTL: Duration? = nil) async throws -> AccessToken {
        guard let account = refused.account else {
            throw PerennialError(
                .invalidArgument,
                "the token is the configured one of the pool \(refused.pool ?? ""): nothing replaces it",
                remedy: .changeSetup)
        }
        return try await read(
            TokenRequest(
                account: try Self.accountID(account), minimumTTL: minimumTTL,
                refused: refused.generation.map { Generation($0) }))
    }

    /// Runs `body` with a token for the account. When the body throws an error that calls the token refused
    /// (``TokenJudging``), it is replaced, and the body runs once more with the new one.
    ///
    /// - Parameters:
    ///   - account: its id.
    ///   - minimumTTL: the token has to be good for at least this long.
    ///   - body: one call, or calls that can be repeated.
    /// - Returns: what the body returns.
    /// - Throws: what the body throws, ``PerennialError``, whose ``PerennialError/underlying`` is what the body has thrown
    ///   where the refused token cannot be replaced, or `CancellationError`.
    nonisolated(nonsending) public func withToken<Result>(
        for account: String, minimumTTL: Duration? = nil,
        _ body: nonisolated(nonsending) (AccessToken) async throws -> Result
    ) async throws -> Result {
        let token = try await accessToken(for: account, minimumTTL: minimumTTL)
        do {
            return try await body(token)
        } catch let error as any TokenJudging where error.tokenVerdict == .refused {
            let next = try await successor(of: token, minimumTTL: minimumTTL, after: error)
            guard !next.isSameToken(as: token) else { throw error }
            return try await body(next)
        }
    }

    private func successor(
        of token: AccessToken, minimumTTL: Duration?, after cause: any TokenJudging
    ) async throws -> AccessToken {
        do {
            return try await accessToken(replacing: token, minimumTTL: minimumTTL)
        } catch var error as PerennialError {
            error.underlying = cause
            throw error
        }
    }

    private func read(_ request: TokenRequest) async throws -> AccessToken {
        try checkOpen()
        try await waitUntilReady(patience: Self.patience)
        let reader = instance.reader
        let served = try await Abandonable.value { () async -> Result<ServedToken, RefreshFailure> in
            do throws(RefreshFailure) {
                return .success(try await reader.serve(request))
            } catch {
                return .failure(error)
            }
        }
        switch served {
        case .success(let token): return AccessToken(token)
        case .failure(let failure):
            throw PerennialError(failure, account: request.account, now: instance.time.wall())
        }
    }

    static func accountID(_ text: String) throws(PerennialError) -> AccountID {
        do { return try AccountID(text) } catch { throw PerennialError(error) }
    }
}
