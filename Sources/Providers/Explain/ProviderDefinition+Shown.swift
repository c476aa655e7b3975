import ConfigurationFile
public import JSONText
import RefreshCore

extension ProviderDefinition {
    /// The effective definition as it could stand under `providers`, with a remark on each value that says where it
    /// comes from. Secrets, and texts that the configuration gave and that may be some, are `***`.
    public var yamlLines: [String] {
        ShownNode.mapping([.init(key: name.rawValue, node: shown, remark: nil)]).yaml()
    }

    /// The same as JSON, without the remarks.
    public var json: JSONValue { shown.json }

    private var shown: ShownNode {
        var page = DefinitionPage(definition: self)
        page.write()
        return .mapping(page.members)
    }
}

/// Collects the keys of a definition.
private struct DefinitionPage {
    let definition: ProviderDefinition
    private let presetFields: ProviderFields?
    private let written: Set<Template>
    var members: [ShownNode.Member] = []

    init(definition: ProviderDefinition) {
        self.definition = definition
        presetFields = (try? Preset.load(definition.preset))?.fields
        written = definition.writtenTemplates
    }

    private func remark(_ key: String) -> String {
        if definition.given.contains(key) { return "configuration" }
        return presetFields?.given.contains(key) == true ? "preset" : "default"
    }

    private func text(_ template: Template) -> String {
        written.contains(template) ? template.maskedSource : template.source
    }

    private mutating func add(_ key: String, _ value: JSONValue?, remark: String? = nil) {
        guard let value else { return }
        members.append(.init(key: key, node: .value(value), remark: remark ?? self.remark(key)))
    }

    private mutating func add(_ key: String, _ value: String?, remark: String? = nil) {
        add(key, value.map { .string($0) }, remark: remark)
    }

    private mutating func add(_ key: String, _ duration: Duration) { add(key, DurationText.format(duration)) }

    mutating func write() {
        add("preset", definition.preset, remark: definition.given.contains("preset") ? "configuration" : "default")
        add("token_url", EndpointURL.masked(definition.tokenURL))
        if let url = try? EndpointURL(definition.tokenURL), url.scheme == "http", !url.isLoopback {
            add("allow_insecure_http", .bool(true))
        }
        writeClient()
        writeRequest()
        writeAnswer()
        writeTimes()
        if let proxy = definition.proxy { add("proxy", proxy.shown) }
        add("login", definition.login.shown(hiding: definition.given))
    }

    private mutating func writeClient() {
        if definition.body == nil { add("grant", definition.grant.rawValue) }
        if let fields = definition.accountFields { add("account_fields", .array(fields.map { .string($0) })) }
        if !definition.clientID.isEmpty { add("client_id", definition.clientID) }
        if definition.clientSecret != nil { add("client_secret", "***", remark: "configuration; not shown") }
        add("client_auth", definition.clientAuth.rawValue)
        if let key = definition.signingKey {
            var signing: [ShownNode.Member] = [
                .init(key: "algorithm", node: .value(.string(key.algorithm.rawValue)), remark: nil),
                .init(key: "key", node: .value(.string("***")), remark: "not shown"),
            ]
            if let id = key.keyID { signing.append(.init(key: "key_id", node: .value(.string(id)), remark: nil)) }
            members.append(.init(key: "signing", node: .mapping(signing), remark: remark("signing")))
        }
        if definition.grant == .jwtBearer { add("assertion", assertion(definition.assertion, isClient: false)) }
        if definition.clientAuth.usesAssertion {
            add("client_assertion", assertion(definition.clientAssertion, isClient: true))
        }
    }

    private func assertion(_ template: AssertionTemplate, isClient: Bool) -> JSONValue {
        var members: [JSONValue.Member] = []
        func add(_ name: String, _ template: Template?) {
            if let template { members.append(.init(name: name, value: .string(template.source))) }
        }
        add("issuer", template.issuer)
        add("subject", template.subject)
        add("audience", template.audience)
        members.append(.init(name: "lifetime", value: .string(DurationText.format(template.lifetime))))
        if !template.claims.isEmpty {
            members.append(.init(name: "claims", value: source(.object(template.claims))))
        }
        return .object(members)
    }

    private mutating func writeRequest() {
        if definition.body == nil {
            add("request_format", definition.requestFormat.rawValue)
            add("scope", definition.scope)
            add("audience", definition.audience)
            if !definition.resources.isEmpty {
                add("resource", .array(definition.resources.map { .string($0) }))
            }
        }
        add("vars", definition.variables.map { ($0.name, "***") })
        add("computed", definition.computed.map { ($0.name, text($0.value)) })
        if definition.body == nil { add("params", definition.parameters.map { ($0.name, text($0.value)) }) }
        add("headers", definition.headers.map { ($0.name, text($0.value)) })
        var request: [ShownNode.Member] = []
        func part(_ key: String, _ node: ShownNode, _ source: String) {
            request.append(.init(key: key, node: node, remark: remark(source)))
        }
        if definition.method != "POST" { part("method", .value(.string(definition.method)), "request.method") }
        if !definition.query.isEmpty {
            let fields = definition.query.map { ($0.name, text($0.value)) }
            request.append(.init(key: "query", node: named("query", fields), remark: nil))
        }
        switch definition.body {
        case nil, .some(.none): break
        case .form(let fields)?:
            part(
                "form",
                .value(.object(Self.grouped(fields.map { ($0.name, .string(text($0.value))) }))), "request.body")
        case .json(let template)?:
            part("json", .value(source(template, hidesNumbers: definition.hasWrittenBody)), "request.body")
        case .text(let template)?: part("body", .value(.string(text(template))), "request.body")
        }
        if !request.isEmpty { members.append(.init(key: "request", node: .mapping(request), remark: nil)) }
    }

    /// The same name several times becomes a list.
    private static func grouped(_ fields: [(String, JSONValue)]) -> [JSONValue.Member] {
        var grouped: [JSONValue.Member] = []
        for (name, value) in fields {
            guard let index = grouped.firstIndex(where: { $0.name == name }) else {
                grouped.append(.init(name: name, value: value))
                continue
            }
            if case .array(let earlier) = grouped[index].value {
                grouped[index].value = .array(earlier + [value])
            } else {
                grouped[index].value = .array([grouped[index].value, value])
            }
        }
        return grouped
    }

    private func named(_ key: String, _ fields: [(String, String)]) -> ShownNode {
        .mapping(
            fields.map { name, text in
                ShownNode.Member(key: name, node: .value(.string(text)), remark: remark("\(key).\(name)"))
            })
    }

    private mutating func add(_ key: String, _ fields: [(String, String)]) {
        guard !fields.isEmpty else { return }
        members.append(.init(key: key, node: named(key, fields), remark: nil))
    }

    private func source(_ template: JSONTemplate, hidesNumbers: Bool = false) -> JSONValue {
        switch template {
        case .constant(let constant): hidesNumbers ? constant.maskedValue : constant.value
        case .text(let template): .string(text(template))
        case .list(let elements): .array(elements.map { source($0, hidesNumbers: hidesNumbers) })
        case .object(let members):
            .object(members.map { .init(name: $0.name, value: source($0.value, hidesNumbers: hidesNumbers)) })
        }
    }

    private mutating func writeAnswer() {
        let response = definition.response
        var places: [ShownNode.Member] = []
        func add(_ key: String, _ pointers: [JSONPointer]) {
            places.append(
                .init(
                    key: key, node: .value(.array(pointers.map { .string($0.description) })),
                    remark: remark("response.\(key)")))
        }
        func add(_ key: String, _ sources: [ResponseMapping.TimeSource]) {
            let values = sources.map { source -> JSONValue in
                guard source.unit != .auto else { return .string(source.pointer.description) }
                return .object([
                    .init(name: "pointer", value: .string(source.pointer.description)),
                    .init(name: "unit", value: .string(source.unit.rawValue)),
                ])
            }
            places.append(.init(key: key, node: .value(.array(values)), remark: remark("response.\(key)")))
        }
        add("access_token", response.accessToken)
        if definition.accountFields == nil { add("refresh_token", response.refreshToken) }
        add("token_type", response.tokenType)
        add("expires_in", response.expiresIn)
        add("expires_at", response.expiresAt)
        add("refresh_expires_in", response.refreshExpiresIn)
        add("refresh_expires_at", response.refreshExpiresAt)
        add("error_code", response.errorCode)
        add("error_description", response.errorDescription)
        members.append(.init(key: "response", node: .mapping(places), remark: nil))

        let preset = presetFields?.errors ?? ErrorRules()
        func list<Class>(_ rules: RuleList<Class>, _ preset: RuleList<Class>) -> ShownNode {
            .list(rules.rules.map { ($0.json, preset.rules.contains($0) ? "preset" : "configuration") })
        }
        members.append(
            .init(
                key: "errors",
                node: .mapping([
                    .init(key: "token", node: list(definition.errors.token, preset.token), remark: nil),
                    .init(key: "api", node: list(definition.errors.api, preset.api), remark: nil),
                ]), remark: nil))
    }

    private mutating func writeTimes() {
        if case .grace(let leeway) = definition.rotation {
            add("rotation", .object([.init(name: "grace", value: .string(DurationText.format(leeway)))]))
        } else {
            add("rotation", definition.rotation.description)
        }
        add("skew", definition.skew)
        add("window", definition.window)
        add("default_lifetime", definition.defaultLifetime)
        add("exchange_deadline", definition.exchangeDeadline)
        add("connect_timeout", definition.connectTimeout)
        add("send_by", definition.sendBy)
        add("lock_ttl", definition.lockTTL)
        add("max_concurrent", .integer(Int64(definition.maxConcurrent)))
        add(
            "backoff",
            .object([
                .init(name: "base", value: .string(DurationText.format(definition.backoffBase))),
                .init(name: "cap", value: .string(DurationText.format(definition.backoffCap))),
            ]))
        writeThrottles()
        add("grant_max_age", definition.grantMaxAge.map { DurationText.format($0) })
        add("grant_warning", definition.grantWarning)
        add("ca_file", definition.caFile)
    }

    private mutating func writeThrottles() {
        if let limit = definition.rateLimit {
            add(
                "rate_limit",
                .object([
                    .init(name: "requests", value: .integer(Int64(limit.requests))),
                    .init(name: "per", value: .string(DurationText.format(limit.per))),
                    .init(name: "burst", value: .integer(Int64(limit.burst))),
                ]))
        }
        add(
            "circuit_breaker",
            definition.circuitBreaker.map { breaker in
                .object([
                    .init(name: "failures", value: .integer(Int64(breaker.failures))),
                    .init(name: "cap", value: .string(DurationText.format(breaker.cap))),
                ])
            } ?? .string("off"))
    }
}

extension ErrorRule {
    /// As the configuration has it.
    public var json: JSONValue {
        .object([.init(name: "class", value: .string(meaning.rawValue))] + conditions.shown)
    }
}

extension RuleConditions {
    fileprivate var shown: [JSONValue.Member] {
        func one(_ texts: [String]) -> JSONValue {
            texts.count == 1 ? Self.shown(texts[0]) : .array(texts.map(Self.shown))
        }
        var members: [JSONValue.Member] = []
        if !statuses.isEmpty { members.append(.init(name: "status", value: one(statuses.map(Self.text)))) }
        if !codes.isEmpty { members.append(.init(name: "code", value: one(codes))) }
        if !headers.isEmpty {
            let values = headers.map { header in
                JSONValue.Member(name: header.name, value: header.pattern.map { .string($0.source) } ?? .null)
            }
            members.append(.init(name: "header", value: .object(values)))
        }
        if !json.isEmpty { members.append(.init(name: "json", value: .object(json.map(Self.shown)))) }
        if !contains.isEmpty { members.append(.init(name: "contains", value: one(contains))) }
        if let matches { members.append(.init(name: "matches", value: .string(matches.source))) }
        if let body { members.append(.init(name: "body", value: .string(body.rawValue))) }
        return members
    }

    /// A whole number needs no quotes.
    private static func shown(_ text: String) -> JSONValue {
        guard let number = Int64(text), String(number) == text else { return .string(text) }
        return .integer(number)
    }

    private static func shown(_ condition: JSONCondition) -> JSONValue.Member {
        let value: JSONValue =
            switch condition.test {
            case .exists: .null
            case .equals(let texts): texts.count == 1 ? shown(texts[0]) : .array(texts.map { shown($0) })
            case .matches(let pattern): .object([.init(name: "matches", value: .string(pattern.source))])
            }
        return JSONValue.Member(name: condition.pointer.description, value: value)
    }
}
