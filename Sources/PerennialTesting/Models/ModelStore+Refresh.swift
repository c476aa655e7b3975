import RefreshCore

extension ModelStore: AccountStore {
    public func begin(_ request: BeginRequest) throws(StoreError) -> BeginReply {
        let reply = try perform(.begin) { $0.begin(request, now: $1) }
        if case .granted(let claim) = reply, !isConfirming {
            return .undurable(claim, reason: "no replica confirmed the write")
        }
        return reply
    }

    public func commit(_ request: CommitRequest) throws(StoreError) -> CommitReply {
        let reply = try perform(.commit) { state, now in
            let reply = state.commit(request, now: now)
            if reply == .orphaned { state.keepOrphan(request) }
            return reply
        }
        switch reply {
        case .committed, .already, .orphaned:
            return isConfirming ? reply : .unconfirmed(reply, reason: "no replica confirmed the write")
        case .superseded, .behind, .unconfirmed: return reply
        }
    }

    public func settle(_ request: SettleRequest) throws(StoreError) -> SettleReply {
        try perform(.settle) { $0.settle(request, now: $1) }
    }

    public func read(_ account: AccountID) throws(StoreError) -> AccountSnapshot? {
        try perform(.read) { state, _ in state.account(account) }
    }
}
