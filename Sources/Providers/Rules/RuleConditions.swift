import JSONText

/// What an answer has to be for a rule to apply. All that is given has to hold; nothing given holds always.
public struct RuleConditions: Sendable, Hashable {
    public enum BodyState: String, Sendable, Hashable, CaseIterable { case empty, present }

    /// A value in a JSON body.
    public struct JSONCondition: Sendable, Hashable {
        public enum Test: Sendable, Hashable {
            /// Something other than null stands there.
            case exists
            /// A text, number or truth value that is one of these.
            case equals([String])
            case matches(TextPattern)
        }

        public var pointer: JSONPointer
        public var test: Test

        public init(_ pointer: JSONPointer, _ test: Test) {
            self.pointer = pointer
            self.test = test
        }
    }

    public struct HeaderCondition: Sendable, Hashable {
        public var name: String
        /// Nil: it only has to be there.
        public var pattern: TextPattern?

        public init(_ name: String, _ pattern: TextPattern? = nil) {
            self.name = name
            self.pattern = pattern
        }
    }

    /// HTTP statuses, one of which it has to be; empty means any.
    public var statuses: [ClosedRange<Int>] = []
    /// Error codes, one of which it has to be; empty means any or none. Of several codes in an answer the most telling
    /// one counts that any rule of the list names.
    public var codes: [String] = []
    public var headers: [HeaderCondition] = []
    public var json: [JSONCondition] = []
    /// Texts, one of which the body has to contain, in whatever case.
    public var contains: [String] = []
    public var matches: TextPattern?
    public var body: BodyState?

    public init() {}

    public init(codes: [String], statuses: [Int] = []) {
        self.codes = codes
        self.statuses = statuses.map { $0...$0 }
    }

    /// The condition that an answer does not meet.
    enum Mismatch: Sendable, Hashable {
        case status, code, header(String), json(JSONPointer), contains, matches, body
    }

    /// - Parameter code: of the answer's error codes the one that counts.
    /// - Returns: the first condition that does not hold, or nil where all do.
    func mismatch(_ answer: ProviderAnswer, code: String?) -> Mismatch? {
        if !statuses.isEmpty, !statuses.contains(where: { $0.contains(answer.status) }) { return .status }
        if !codes.isEmpty {
            guard let code, codes.contains(code) else { return .code }
        }
        for header in headers where !Self.holds(header, answer) { return .header(header.name) }
        if let body, (body == .empty) != answer.isEmpty { return .body }
        for condition in json where !Self.holds(condition, answer) { return .json(condition.pointer) }
        if !contains.isEmpty, !contains.contains(where: { Self.contains($0, in: answer.body) }) { return .contains }
        if let matches, !matches.matches(answer.body) { return .matches }
        return nil
    }

    private static func holds(_ condition: HeaderCondition, _ answer: ProviderAnswer) -> Bool {
        let values = answer.values(of: condition.name)
        guard let pattern = condition.pattern else { return !values.isEmpty }
        return values.contains { pattern.matches($0.utf8) }
    }

    private static func holds(_ condition: JSONCondition, _ answer: ProviderAnswer) -> Bool {
        guard let value = answer.document.flatMap({ condition.pointer.value(in: $0) }), value != .null else {
            return false
        }
        switch condition.test {
        case .exists: return true
        case .equals(let texts): return value.scalarText.map { texts.contains($0) } ?? false
        case .matches(let pattern): return value.scalarText.map { pattern.matches($0.utf8) } ?? false
        }
    }

    /// Without regard to the case of ASCII letters.
    private static func contains(_ text: String, in body: [UInt8]) -> Bool {
        func folded(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte + 0x20 : byte }
        let wanted = text.utf8.map(folded)
        guard !wanted.isEmpty else { return true }
        return body.prefix(TextPattern.searched).map(folded).firstRange(of: wanted) != nil
    }

    /// Whether every answer that meets `other` meets these conditions too, so that a rule with `other` behind one with
    /// these is never reached. False where that cannot be said.
    func covers(_ other: RuleConditions) -> Bool {
        let statusesHold =
            statuses.isEmpty
            || (!other.statuses.isEmpty
                && other.statuses.allSatisfy { range in
                    range.allSatisfy { status in statuses.contains { $0.contains(status) } }
                })
        let codesHold = codes.isEmpty || (!other.codes.isEmpty && Set(other.codes).isSubset(of: codes))
        let containsHolds =
            contains.isEmpty || (!other.contains.isEmpty && Set(other.contains).isSubset(of: contains))
        return statusesHold && codesHold && containsHolds
            && headers.allSatisfy { header in
                other.headers.contains { $0 == header || (header.pattern == nil && $0.name == header.name) }
            }
            && json.allSatisfy { condition in other.json.contains { Self.covers(condition, $0) } }
            && (matches == nil || matches == other.matches) && (body == nil || body == other.body)
    }

    private static func covers(_ one: JSONCondition, _ other: JSONCondition) -> Bool {
        guard one.pointer == other.pointer else { return false }
        switch (one.test, other.test) {
        case (.exists, _): return true
        case (.equals(let texts), .equals(let others)): return Set(others).isSubset(of: texts)
        default: return one.test == other.test
        }
    }
}
