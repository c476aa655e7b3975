public import Providers
public import RefreshCore

/// The rules for the answers of one route and provider, prepared so that an answer about which they say nothing costs one
/// look into a table.
public struct RuleSheet: Sendable {
    /// What has to be seen of an answer to know what it means.
    public enum Interest: Sendable, Hashable {
        /// No rule can apply that means anything.
        case none
        case head
        /// - Parameter whole: only a complete JSON document can decide.
        case body(whole: Bool)
    }

    /// No more of a body is held back than this, in bytes.
    public static let mostHeld = 64 * 1024

    /// Nor for longer than this after the head: a caller may wait for the beginning of a healthy answer that comes slowly.
    public static let longestHold = Duration.seconds(10)

    /// Stands for a body that was not looked at: not empty, and nothing that a rule would find.
    static let unseen: [UInt8] = [0]

    let rules: ErrorRules
    private let mapping: ResponseMapping
    private let reset: QuotaReset
    /// For the statuses 200 to 599.
    private let interests: [Interest]
    /// Whether bodies have to be readable: those of compressed answers are not.
    public let looksAtBodies: Bool

    public init(rules: RuleList<APIErrorClass>, mapping: ResponseMapping = .standard, reset: QuotaReset = QuotaReset())
    {
        self.rules = ErrorRules(api: rules.rules)
        self.mapping = mapping
        self.reset = reset
        interests = (200...599).map { Self.interest($0, rules.rules, reset) }
        looksAtBodies = interests.contains { interest in
            if case .body = interest { true } else { false }
        }
    }

    /// - Parameters:
    ///   - contentType: of the answer; nil where it has none.
    ///   - length: of its body, where that is announced.
    public func interest(status: Int, contentType: String?, length: Int64?) -> Interest {
        guard (200...599).contains(status) else { return .none }
        let interest = interests[status - 200]
        guard case .body(let whole) = interest else { return interest }
        // What cannot be a JSON document any more need not be waited for.
        if whole, let length, length > Int64(Self.mostHeld) { return .head }
        return contentType.map { Self.isStream($0) } == true ? .head : interest
    }

    /// What the answer means, by its head and as much of its body as was held back.
    public func verdict(
        status: Int, headers: [HeaderField], body: [UInt8], now: WallTime
    ) -> Verdict {
        let fields = headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) }
        let answer = ProviderAnswer(status: status, headers: fields, body: body, mapping: mapping)
        let found = rules.classify(answer, now: now)
        guard found.meaning == .quota || found.meaning == .throttle else { return Verdict(meaning: found.meaning) }
        let wait = found.retryAfter.flatMap { $0 > .zero ? $0 : nil }
        let until = wait.map { now + $0 } ?? reset.end(headers: headers, body: body, now: now)
        return Verdict(meaning: found.meaning, until: until)
    }

    public struct Verdict: Sendable, Hashable {
        public var meaning: APIErrorClass
        /// Until when the account cannot be used, where the answer says so.
        public var until: WallTime?

        public init(meaning: APIErrorClass, until: WallTime? = nil) {
            self.meaning = meaning
            self.until = until
        }
    }

    private static func interest(_ status: Int, _ rules: [ErrorRules.APIRule], _ reset: QuotaReset) -> Interest {
        var possible: [ErrorRules.APIRule] = []
        for rule in rules {
            let statuses = rule.conditions.statuses
            guard statuses.isEmpty || statuses.contains(where: { $0.contains(status) }) else { continue }
            possible.append(rule)
            // What comes behind a rule that always applies is never asked.
            if rule.conditions.headers.isEmpty, !rule.conditions.looksAtBody { break }
        }
        guard possible.contains(where: { $0.meaning != .none }) else { return .none }
        let isSettled =
            possible.last.map { $0.conditions.headers.isEmpty && !$0.conditions.looksAtBody } == true
            && Set(possible.map(\.meaning)).count == 1
        let readsReset =
            !reset.pointers.isEmpty && possible.contains { $0.meaning == .quota || $0.meaning == .throttle }
        if readsReset { return .body(whole: isSettled) }
        let looking = possible.filter(\.conditions.looksAtBody)
        if isSettled || looking.isEmpty { return .head }
        return .body(
            whole: looking.allSatisfy { rule in
                let conditions = rule.conditions
                return conditions.contains.isEmpty && conditions.matches == nil && conditions.body == nil
            })
    }

    /// Types whose bodies come piece by piece, or are no text: no error is told in them.
    private static func isStream(_ contentType: String) -> Bool {
        let type = contentType.prefix { $0 != ";" }.trimmingBlanks.lowercased()
        for prefix in ["image/", "audio/", "video/", "font/", "multipart/"] where type.hasPrefix(prefix) { return true }
        return streams.contains(type)
    }

    private static let streams: Set<String> = [
        "text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl",
        "application/stream+json",
        "application/octet-stream", "application/grpc", "application/zip", "application/gzip", "application/pdf",
        "application/vnd.amazon.eventstream",
    ]
}

/// The rules of one route for each provider whose accounts it uses.
public struct RuleBook: Sendable {
    private let byProvider: [ProviderName: RuleSheet]
    /// For tokens of providers that are not known here, and of none.
    private let other: RuleSheet

    public init(route: GatewayRoute, providers: ProviderCatalog) {
        var byProvider: [ProviderName: RuleSheet] = [:]
        for definition in providers.definitions {
            byProvider[definition.name] = RuleSheet(
                rules: route.rules.before(definition.errors.api), mapping: definition.response, reset: route.reset)
        }
        self.byProvider = byProvider
        other = RuleSheet(rules: route.rules, reset: route.reset)
    }

    public func sheet(_ provider: ProviderName?) -> RuleSheet {
        provider.flatMap { byProvider[$0] } ?? other
    }
}
