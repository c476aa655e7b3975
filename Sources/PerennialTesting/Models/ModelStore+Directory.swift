import RefreshCore

extension ModelStore: AccountDirectory {
    public func put(_ account: AccountPut) throws(StoreError) -> PutReply {
        let reply = try perform(.put) { $0.put(account, expected: $0.storedGeneration(account.id), now: $1) }
        guard let reply else { throw StoreError(.corrupt, "the expected generation was read in the same step") }
        return reply
    }

    public func edit(_ account: AccountID, _ edit: AccountEdit) throws(StoreError) -> EditReply {
        try perform(.edit) { $0.edit(account, edit, now: $1) }
    }

    public func remove(_ account: AccountID, ifGeneration: Generation?) throws(StoreError) -> EditReply {
        try perform(.remove) { $0.remove(account, ifGeneration: ifGeneration, now: $1) }
    }

    public func list(after: AccountID?, limit: Int) throws(StoreError) -> AccountPage {
        try perform(.list) { state, _ in
            let all = state.records.values.filter { !$0.isRemoved }.map(\.snapshot).sorted { $0.id < $1.id }
            let rest = all.filter { account in after.map { account.id > $0 } ?? true }
            let page = Array(rest.prefix(max(1, limit)))
            return AccountPage(accounts: page, next: page.count < rest.count ? page.last?.id : nil)
        }
    }

    public func count() throws(StoreError) -> Int {
        try perform(.count) { state, _ in state.records.values.count { !$0.isRemoved } }
    }
}
