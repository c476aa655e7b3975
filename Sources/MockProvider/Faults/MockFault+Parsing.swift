extension MockFault {
    /// Reads a fault from its text form, as the command line takes it.
    ///
    /// ```
    /// fault     = kind [":" argument] ["@" frequency] ["," "account=" id]
    /// frequency = probability          a number between 0 and 1
    ///           | "x" count            the next count token requests
    /// ```
    ///
    /// Without a frequency every token request meets the fault. Kinds and their arguments (`_` may stand for `-`):
    ///
    /// | kind | argument | default |
    /// |---|---|---|
    /// | `error-before`, `error-after` | status, 500…599 | 500 |
    /// | `hang-before`, `hang-after` | time | 60s |
    /// | `throttle` | Retry-After, a time | 1s |
    /// | `truncated`, `unparseable`, `invalid-grant`, `invalid-client`, `drop-before`, `drop-after` | none | |
    ///
    /// A time is a number with `ms`, `s`, `m` or `h`, or in seconds without a unit. Examples: `error-after:502@0.05`,
    /// `throttle:2s@x3`, `drop-after@x1,account=acct-7`.
    ///
    /// - Throws: ``MockProviderError`` with code `invalidFault`, saying which part is wrong.
    public init(parsing text: String) throws(MockProviderError) {
        var rest = Substring(text)
        var account: String?
        if let comma = rest.firstIndex(of: ",") {
            let filter = rest[rest.index(after: comma)...]
            guard filter.hasPrefix("account="), filter.count > "account=".count else {
                throw MockProviderError(
                    .invalidFault, "fault '\(text)': after the comma comes account=ID, not '\(filter)'")
            }
            account = String(filter.dropFirst("account=".count))
            rest = rest[..<comma]
        }
        var frequency = Frequency.probability(1)
        if let at = rest.firstIndex(of: "@") {
            frequency = try Self.frequency(parsing: rest[rest.index(after: at)...], in: text)
            rest = rest[..<at]
        }
        var argument: Substring?
        if let colon = rest.firstIndex(of: ":") {
            argument = rest[rest.index(after: colon)...]
            rest = rest[..<colon]
        }
        let kind = try Kind(name: String(rest), argument: argument.map(String.init))
        self.init(kind, frequency, account: account)
        try validate()
    }

    private static func frequency(parsing text: Substring, in whole: String) throws(MockProviderError) -> Frequency {
        if text.hasPrefix("x") {
            guard let count = Int(text.dropFirst()) else {
                throw MockProviderError(
                    .invalidFault, "fault '\(whole)': '@\(text)' is no count: write @x3 for the next three requests")
            }
            return .next(count)
        }
        guard let probability = Double(text) else {
            throw MockProviderError(
                .invalidFault,
                "fault '\(whole)': '@\(text)' is no frequency: write a probability such as @0.05, or @x3")
        }
        return .probability(probability)
    }
}

extension MockFault.Kind {
    /// Every name that ``init(name:argument:)`` knows.
    public static let names = [
        "error-before", "error-after", "hang-before", "hang-after", "truncated", "unparseable", "throttle",
        "invalid-grant", "invalid-client", "drop-before", "drop-after",
    ]

    /// A kind by its name, with its argument as text. ``MockFault/init(parsing:)`` lists both.
    ///
    /// - Throws: ``MockProviderError`` with code `invalidFault`.
    public init(name: String, argument: String?) throws(MockProviderError) {
        func status() throws(MockProviderError) -> Int {
            guard let argument else { return 500 }
            guard let status = Int(argument) else {
                throw MockProviderError(.invalidFault, "\(name): '\(argument)' is no status: write 500 to 599")
            }
            return status
        }
        func time(default fallback: Duration) throws(MockProviderError) -> Duration {
            guard let argument else { return fallback }
            guard let duration = Duration(mockText: argument) else {
                throw MockProviderError(
                    .invalidFault, "\(name): '\(argument)' is no time: write a number with ms, s, m or h")
            }
            return duration
        }
        func plain(_ kind: Self) throws(MockProviderError) -> Self {
            guard let argument else { return kind }
            throw MockProviderError(.invalidFault, "\(name) takes no argument, but has '\(argument)'")
        }
        switch String(name.map { $0 == "_" ? "-" : $0 }) {
        case "error-before": self = .errorBefore(status: try status())
        case "error-after": self = .errorAfter(status: try status())
        case "hang-before": self = .hangBefore(try time(default: .seconds(60)))
        case "hang-after": self = .hangAfter(try time(default: .seconds(60)))
        case "throttle": self = .throttle(retryAfter: try time(default: .seconds(1)))
        case "truncated": self = try plain(.truncatedBody)
        case "unparseable": self = try plain(.unparseable)
        case "invalid-grant": self = try plain(.invalidGrant)
        case "invalid-client": self = try plain(.invalidClient)
        case "drop-before": self = try plain(.dropConnectionBefore)
        case "drop-after": self = try plain(.dropConnectionAfter)
        default:
            throw MockProviderError(
                .invalidFault, "there is no fault '\(name)': use one of \(Self.names.joined(separator: ", "))")
        }
    }

    /// The argument in its text form, nil for kinds that take none.
    var argument: String? {
        switch self {
        case .errorBefore(let status), .errorAfter(let status): "\(status)"
        case .hangBefore(let duration), .hangAfter(let duration), .throttle(retryAfter: let duration):
            "\(duration.wholeMilliseconds)ms"
        case .truncatedBody, .unparseable, .invalidGrant, .invalidClient, .dropConnectionBefore,
            .dropConnectionAfter:
            nil
        }
    }
}

extension MockFault: CustomStringConvertible {
    /// The text form, which ``init(parsing:)`` reads back.
    public var description: String {
        var text = kind.name
        if let argument = kind.argument { text += ":\(argument)" }
        switch frequency {
        case .probability(let probability): if probability != 1 { text += "@\(probability)" }
        case .next(let count): text += "@x\(count)"
        }
        if let account { text += ",account=\(account)" }
        return text
    }
}

extension Duration {
    /// Reads `500ms`, `2s`, `1.5m`, `1h`, or a bare number of seconds. Nil for anything else, negative or huge.
    init?(mockText text: String) {
        let units: [(suffix: String, seconds: Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
        var number = Substring(text)
        var scale = 1.0
        if let unit = units.first(where: { text.hasSuffix($0.suffix) }) {
            number = number.dropLast(unit.suffix.count)
            scale = unit.seconds
        }
        guard number.first?.isNumber == true, let value = Double(number) else { return nil }
        let seconds = value * scale
        guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return nil }
        self = .milliseconds(Int64((seconds * 1000).rounded()))
    }
}
