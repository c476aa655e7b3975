import JSONText
import RefreshCore

extension TraitChanges {
    /// The fields of a body that ``init(_:isWhole:)`` takes.
    static let bodyFields = ["pool", "tier", "labels", "proxy"]

    /// Takes pool, tier, labels and proxy out of a body; null removes a field, and one that is absent stays as it is.
    ///
    /// - Parameter isWhole: whether the labels given are all there are to be (PUT), or are merged into those there are,
    ///   null removing one (PATCH, as in RFC 7396).
    /// - Throws: ``Problem`` (400) naming the field that is not acceptable.
    init(_ fields: inout JSONFields, isWhole: Bool) throws(Problem) {
        self.init()
        pool = try Self.name(fields.takeNullable("pool"), "pool") { text throws(InvalidName) in try PoolName(text) }
        tier = try Self.name(fields.takeNullable("tier"), "tier") { text throws(InvalidName) in try TierName(text) }
        labels = try Self.labels(fields.takeNullable("labels"), isWhole: isWhole)
        proxy = try Self.proxy(fields.takeNullable("proxy"))
    }

    private static func name<Name>(
        _ value: JSONValue?, _ field: String, _ make: (String) throws(InvalidName) -> Name
    ) throws(Problem) -> FieldChange<Name> {
        switch value {
        case .none: return .keep
        case .some(.null): return .remove
        case .some(.string(let text)):
            do { return .set(try make(text)) } catch { throw Problem(.invalidAccount, error.description) }
        case .some(let other):
            throw Problem(.malformedBody, "\(field) has to be a string, or null to remove it, not \(other.kind)")
        }
    }

    private static func labels(_ value: JSONValue?, isWhole: Bool) throws(Problem) -> LabelChange {
        guard let value else { return .keep }
        if value == .null { return .replace(.none) }
        var members = try JSONFields(value, what: "labels")
        var changes: [String: String?] = [:]
        for key in members.names {
            switch members.takeNullable(key) {
            case .some(.string(let text)): changes.updateValue(text, forKey: key)
            case .some(.null) where !isWhole: changes.updateValue(nil, forKey: key)
            case .some(let other):
                throw Problem(
                    .malformedBody, "the label \(JSONFields.shown(key)) has to be a string, not \(other.kind)")
            case .none: break
            }
        }
        do {
            if isWhole { return .replace(try AccountLabels(changes.compactMapValues { $0 })) }
            let merge = LabelChange.merge(changes)
            try merge.check()
            return merge
        } catch {
            throw Problem(.invalidAccount, error.description)
        }
    }

    /// A URL, which may hold the credentials; an object of url, username and password; or `direct`.
    private static func proxy(_ value: JSONValue?) throws(Problem) -> FieldChange<ProxySetting> {
        guard let value else { return .keep }
        do throws(InvalidProxy) {
            switch value {
            case .null: return .remove
            case .string(let text): return .set(try ProxySetting(text))
            default: break
            }
        } catch {
            throw Problem(.invalidAccount, error.description)
        }
        guard case .object = value else {
            throw Problem(
                .malformedBody,
                "proxy has to be a URL, an object of url, username and password, \"direct\", or null to remove it")
        }
        var fields = try JSONFields(value, what: "proxy")
        guard let url = try fields.string("url") else { throw Problem(.malformedBody, "proxy.url is missing") }
        let (username, password) = (try fields.string("username"), try fields.string("password"))
        try fields.finish(allowed: ["url", "username", "password"])
        do {
            if url == "direct", username == nil, password == nil { return .set(.direct) }
            return .set(
                .server(
                    try ProxyServer(
                        url, username: username.map { Secret($0) }, password: password.map { Secret($0) })))
        } catch {
            throw Problem(.invalidAccount, error.description)
        }
    }
}

extension AccountFilter {
    /// The parameters of a query that ``init(_:)`` takes.
    static let queryNames = ["provider", "status", "pool", "tier", "label"]

    /// Takes the filter out of the query of `GET /v1/accounts`; `label` is `key` or `key=value`.
    ///
    /// - Throws: ``Problem`` (400) naming the parameter that is not acceptable.
    init(_ query: inout RequestQuery) throws(Problem) {
        try self.init(
            provider: query.take("provider"), pool: query.take("pool"), tier: query.take("tier"),
            label: query.take("label"), status: query.take("status"))
    }

    /// Takes the same, except labels, out of an object.
    init(_ fields: inout JSONFields) throws(Problem) {
        try self.init(
            provider: fields.string("provider"), pool: fields.string("pool"), tier: fields.string("tier"), label: nil,
            status: fields.string("status"))
    }

    private init(
        provider: String?, pool: String?, tier: String?, label: String?, status: String?
    ) throws(Problem) {
        self.init()
        do throws(InvalidName) {
            self.provider = try provider.map { text throws(InvalidName) in try ProviderName(text) }
            self.pool = try pool.map { text throws(InvalidName) in try PoolName(text) }
            self.tier = try tier.map { text throws(InvalidName) in try TierName(text) }
            if let label { labels = try Self.labels([label]) }
        } catch {
            throw Problem(.malformedRequest, error.description)
        }
        if let text = status {
            guard let status = AccountStatus(rawValue: text) else {
                let known = AccountStatus.allCases.map(\.rawValue).joined(separator: ", ")
                throw Problem(.malformedRequest, "status has to be one of \(known)")
            }
            self.status = status
        }
    }
}
