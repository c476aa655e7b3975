import RefreshCore

/// One line of an import file.
struct ImportRecord: Sendable {
    var line: Int
    var id: AccountID
    var provider: ProviderName
    var name: String?
    var credentials: Credentials
    var traits: TraitChanges
}

/// Why a line cannot be imported; never repeats what it holds.
struct BadLine: Error, Sendable, Hashable {
    var line: Int
    var reason: String
}

/// The fields of a line before they are checked.
struct ImportFields {
    static let known = [
        "id", "provider", "name", "refresh_token", "access_token", "expires_at", "pool", "tier", "labels", "proxy",
    ]

    /// Before the name of a field of an account without refresh token: `credentials.username`.
    static let credentialPrefix = "credentials."

    static func isKnown(_ name: String) -> Bool {
        known.contains(name)
            || (name.hasPrefix(credentialPrefix)
                && AccountFields.isName(String(name.dropFirst(credentialPrefix.count))))
    }

    var values: [String: String] = [:]
    /// From an object, or from a cell of `key=value; key=value`.
    var labels: [String: String]?

    /// What the account is made of; whether it is what the provider needs is checked with the rest.
    private func secret() -> Secret? {
        var fields: [String: Secret] = [:]
        for (name, value) in values where name.hasPrefix(Self.credentialPrefix) && !value.isEmpty {
            fields[String(name.dropFirst(Self.credentialPrefix.count))] = Secret(value)
        }
        guard let token = values["refresh_token"], !token.isEmpty else {
            return AccountCredential.fields(AccountFields(fields)).secret
        }
        return fields.isEmpty ? Secret(token) : nil
    }

    /// - Throws: ``BadLine``.
    func record(line: Int) throws(BadLine) -> ImportRecord {
        func bad(_ reason: String) -> BadLine { BadLine(line: line, reason: reason) }
        func required(_ field: String) throws(BadLine) -> String {
            guard let value = values[field], !value.isEmpty else { throw bad("\(field) is missing") }
            return value
        }
        let id: AccountID
        let provider: ProviderName
        do {
            id = try AccountID(try required("id"))
            provider = try ProviderName(try required("provider"))
        } catch let error as BadLine {
            throw error
        } catch {
            throw bad("\(error)")
        }
        var expiresAt: WallTime?
        if let text = values["expires_at"], !text.isEmpty {
            guard let time = AccountTime.parse(text) else {
                throw bad("expires_at is neither RFC 3339 (2026-01-31T12:00:00Z) nor epoch seconds")
            }
            expiresAt = time
        }
        guard let secret = self.secret() else { throw bad("refresh_token and credentials exclude each other") }
        let access = values["access_token"].flatMap { $0.isEmpty ? nil : Secret($0) }
        return ImportRecord(
            line: line, id: id, provider: provider, name: values["name"].flatMap { $0.isEmpty ? nil : $0 },
            credentials: Credentials(
                refreshToken: secret, accessToken: access,
                expiresAt: access == nil ? nil : expiresAt), traits: try traits(line: line))
    }

    private func traits(line: Int) throws(BadLine) -> TraitChanges {
        func given(_ field: String) -> String? { values[field].flatMap { $0.isEmpty ? nil : $0 } }
        var traits = TraitChanges()
        do throws(InvalidName) {
            if let text = given("pool") { traits.pool = .set(try PoolName(text)) }
            if let text = given("tier") { traits.tier = .set(try TierName(text)) }
            if let labels { traits.labels = .replace(try AccountLabels(labels)) }
        } catch {
            throw BadLine(line: line, reason: error.description)
        }
        do throws(InvalidProxy) {
            if let text = given("proxy") { traits.proxy = .set(try ProxySetting(text)) }
        } catch {
            throw BadLine(line: line, reason: error.description)
        }
        return traits
    }

    /// - Throws: ``BadLine`` for what is not `key=value; key=value`.
    mutating func takeLabels(cell: String, line: Int) throws(BadLine) {
        guard !cell.allSatisfy(\.isWhitespace) else { return }
        var labels: [String: String] = [:]
        for part in cell.split(separator: ";") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else { throw BadLine(line: line, reason: "labels are written key=value; key=value") }
            labels[String(pair[0]).trimmed] = String(pair[1]).trimmed
        }
        self.labels = labels
    }
}
