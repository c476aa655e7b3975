import ConfigurationFile

extension ErrorRules {
    /// Reads
    /// ```yaml
    /// errors:
    ///   token: [{ status: 400, json: { /errors/system/code: 1508 }, class: refused }]
    ///   api: [{ status: 401, header: { WWW-Authenticate: invalid_token }, class: refresh }]
    ///   refused: [invalid_grant, { code: access_denied, status: 403 }]   # short for rules of the token phase
    /// ```
    /// and reports rules that can never apply.
    init(reading section: ConfigurationSection) {
        var token: [Found<TokenErrorClass>] = []
        Self.read(section, "token", fixed: nil, into: &token)
        var short: [Found<TokenErrorClass>] = []
        for meaning in TokenErrorClass.allCases {
            Self.read(section, meaning.rawValue, fixed: meaning, into: &short)
        }
        // Written by class they have no order of their own: what names a code says more than a bare status.
        token += short.filter { !$0.rule.conditions.codes.isEmpty } + short.filter { $0.rule.conditions.codes.isEmpty }
        var api: [Found<APIErrorClass>] = []
        Self.read(section, "api", fixed: nil, into: &api)
        Self.check(token, section)
        Self.check(api, section)
        for found in token where found.rule.neverDecides {
            section.report(
                .contradiction, at: found.origin, key: found.path,
                "never decides: 429 always means throttled; give another status, or class: throttled")
        }
        self.init(token: token.map(\.rule), api: api.map(\.rule))
    }

    /// Reads a list of rules of the API phase, such as a route of the gateway has it: the same shape as `errors.api` of a
    /// provider.
    package static func readAPI(_ section: ConfigurationSection, _ key: String) -> RuleList<APIErrorClass> {
        var api: [Found<APIErrorClass>] = []
        read(section, key, fixed: nil, into: &api)
        check(api, section)
        return RuleList(api.map(\.rule))
    }

    private struct Found<Class: ErrorClass> {
        var rule: ErrorRule<Class>
        var origin: ConfigurationIssue.Origin
        var path: String
    }

    private static func read<Class: ErrorClass>(
        _ section: ConfigurationSection, _ key: String, fixed: Class?, into found: inout [Found<Class>]
    ) {
        var index = 0
        let path = section.path.isEmpty ? key : "\(section.path).\(key)"
        section.elements(
            key,
            text: { text, origin in
                if let fixed {
                    found.append(
                        Found(rule: ErrorRule(fixed, code: text), origin: origin, path: "\(path)[\(index)]"))
                } else {
                    section.report(
                        .invalidValue, at: origin, key: "\(path)[\(index)]",
                        "has to be a mapping: write { code: \(text), class: \(Class.allCases.first?.rawValue ?? "") }")
                }
                index += 1
            },
            mapping: { element in
                defer { index += 1 }
                let meaning = fixed ?? element.choice("class", of: Class.self)
                if fixed == nil, !element.contains("class") {
                    let names = Class.allCases.map(\.rawValue).joined(separator: ", ")
                    element.report(.missing, "needs class: one of \(names)")
                }
                guard let conditions = RuleConditions(reading: element), let meaning else { return }
                if conditions == RuleConditions(), fixed != nil || Class.self == TokenErrorClass.self {
                    element.report(.missing, "needs a code, a status or another condition: \(RuleConditions.keys)")
                    return
                }
                found.append(
                    Found(rule: ErrorRule(meaning, conditions), origin: element.origin, path: element.path))
            })
    }

    private static func check<Class: ErrorClass>(_ rules: [Found<Class>], _ section: ConfigurationSection) {
        for (index, found) in rules.enumerated() {
            guard let earlier = rules[..<index].first(where: { $0.rule.conditions.covers(found.rule.conditions) })
            else {
                continue
            }
            let same = earlier.rule == found.rule ? "says the same" : "matches all that this one could"
            section.report(
                .contradiction, at: found.origin, key: found.path,
                "is never reached: \(earlier.path) (\(earlier.origin)) \(same); put it in front, narrow the other or remove it"
            )
        }
    }
}

extension ErrorRule where Class == TokenErrorClass {
    /// Whether its statuses are settled before rules are asked (RFC 6585 §4).
    fileprivate var neverDecides: Bool {
        meaning != .throttled && !conditions.statuses.isEmpty && conditions.statuses.allSatisfy { $0 == 429...429 }
    }
}

extension RuleConditions {
    static let keys = "code, status, header, json, contains, matches, body"

    /// Nil after reporting what is wrong.
    init?(reading section: ConfigurationSection) {
        self.init()
        var isGood = true
        func bad() { isGood = false }
        if section.contains("code") {
            if let read = section.oneOrMany("code"), !read.isEmpty { codes = read } else { bad() }
        }
        if section.contains("status") {
            let texts = section.oneOrMany("status") ?? []
            statuses = texts.compactMap { text in
                if let range = Self.statuses(text) { return range }
                section.report(
                    .invalidValue, "status",
                    "\(Quoted.text(text)) is no HTTP status: write for example 400, 4xx, 500-599 or a list of such")
                return nil
            }
            if statuses.isEmpty || statuses.count != texts.count { bad() }
        }
        if section.contains("header") {
            let read = section.section("header") { Self.headers($0) }
            if let read = read ?? nil { headers = read } else { bad() }
        }
        if section.contains("json") {
            let read = section.section("json") { Self.json($0) }
            if let read = read ?? nil { json = read } else { bad() }
        }
        if section.contains("contains") {
            if let read = section.oneOrMany("contains"), !read.isEmpty, read.allSatisfy({ !$0.isEmpty }) {
                contains = read
            } else {
                bad()
            }
        }
        if section.contains("matches") {
            if let read = Self.pattern(section, "matches") { matches = read } else { bad() }
        }
        if section.contains("body") {
            if let read = section.choice("body", of: BodyState.self) { body = read } else { bad() }
        }
        if body == .empty, !codes.isEmpty || !json.isEmpty || !contains.isEmpty || matches != nil {
            section.report(.contradiction, "body", "is empty here, and so no other condition on the body can hold")
            bad()
        }
        guard isGood else { return nil }
    }

    /// `400`, `4xx`, `400-499`.
    private static func statuses(_ text: String) -> ClosedRange<Int>? {
        func status(_ text: Substring) -> Int? {
            guard text.utf8.count == 3, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
                (100...599).contains(number)
            else { return nil }
            return number
        }
        if text.count == 3, text.lowercased().hasSuffix("xx"), let first = status(text.prefix(1) + "00") {
            return first...first + 99
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard let low = parts.first.flatMap(status) else { return nil }
        guard parts.count == 2 else { return parts.count == 1 ? low...low : nil }
        guard let high = status(parts[1]), low <= high else { return nil }
        return low...high
    }

    private static func headers(_ section: ConfigurationSection) -> [HeaderCondition]? {
        let names = section.keys
        let read = names.compactMap { name -> HeaderCondition? in
            guard HTTPText.isToken(name) else {
                section.report(.invalidValue, name, "is not the name of a header")
                return nil
            }
            if section.isNull(name) { return HeaderCondition(name) }
            return pattern(section, name).map { HeaderCondition(name, $0) }
        }
        return read.count == names.count && !read.isEmpty ? read : nil
    }

    private static func json(_ section: ConfigurationSection) -> [JSONCondition]? {
        let names = section.keys
        let read = names.compactMap { name -> JSONCondition? in
            let pointer: JSONPointer
            do {
                pointer = try JSONPointer(name)
            } catch {
                section.report(.invalidValue, name, "\(error)")
                return nil
            }
            if section.isSection(name) {
                let found = section.section(name) { test -> TextPattern? in
                    if !test.contains("matches") {
                        test.report(.missing, "needs matches: write a value, a list of values or { matches: PATTERN }")
                    }
                    return pattern(test, "matches")
                }
                return (found ?? nil).map { JSONCondition(pointer, .matches($0)) }
            }
            if section.isNull(name) { return JSONCondition(pointer, .exists) }
            guard let texts = section.oneOrMany(name), !texts.isEmpty else { return nil }
            return JSONCondition(pointer, .equals(texts))
        }
        return read.count == names.count && !read.isEmpty ? read : nil
    }

    private static func pattern(_ section: ConfigurationSection, _ key: String) -> TextPattern? {
        guard let text = section.string(key) else { return nil }
        do {
            return try TextPattern(text)
        } catch {
            section.report(.invalidValue, key, error.description)
            return nil
        }
    }
}
