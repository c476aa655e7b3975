extension CommitRequest {
    /// The commit of an answer to the spend that `claim` allowed.
    public init(claim: RefreshClaim, grant: TokenGrant, obtainedAt: WallTime, dueAt: WallTime) {
        self.init(
            account: claim.account.id, provider: claim.account.provider, attempt: claim.attempt,
            generation: claim.generation, accessToken: grant.accessToken,
            // A provider that returns no refresh token means "keep the old one" (RFC 6749 §6).
            refreshToken: grant.refreshToken ?? claim.refreshToken, tokenType: grant.tokenType,
            expiresAt: grant.expiresAt, obtainedAt: obtainedAt, dueAt: dueAt, isRecovery: claim.isRecovery,
            clearsFailures: claim.followsFailures)
    }

    /// What the account looks like once this commit has been carried out.
    public func snapshot(after before: AccountSnapshot, enabled: Bool) -> AccountSnapshot {
        var snapshot = before
        snapshot.enabled = enabled
        snapshot.status = .active
        snapshot.generation = generation.next
        snapshot.accessToken = accessToken
        snapshot.tokenType = tokenType
        snapshot.expiresAt = expiresAt
        snapshot.obtainedAt = obtainedAt
        snapshot.updatedAt = obtainedAt
        snapshot.dueAt = dueAt
        snapshot.failures = 0
        snapshot.nextAttemptAt = nil
        snapshot.lastFault = nil
        snapshot.intent = nil
        if let grant { snapshot.grant = grant }
        if let grantStage { snapshot.grantStage = grantStage }
        return snapshot
    }
}
