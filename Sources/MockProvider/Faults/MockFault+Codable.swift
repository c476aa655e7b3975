/// JSON: either the text form as a string, or an object
/// `{"kind": "error-after", "argument": 502, "probability": 0.05, "account": "acct-7"}` with `next` (a count) in the
/// place of `probability` where wanted. `argument` is a number (a status, or seconds) or a text such as `"500ms"`.
extension MockFault: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case kind, argument, probability, next, account
    }

    public init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            try self.init(parsing: text)
            return
        }
        try decoder.refuseUnknownKeys(besides: CodingKeys.allCases.map(\.rawValue))
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let name = try container.decode(String.self, forKey: .kind)
        var argument: String?
        if container.contains(.argument) {
            if let number = try? container.decode(Double.self, forKey: .argument) {
                argument = Int(exactly: number).map(String.init) ?? String(number)
            } else {
                argument = try container.decode(String.self, forKey: .argument)
            }
        }
        let probability = try container.decodeIfPresent(Double.self, forKey: .probability)
        let next = try container.decodeIfPresent(Int.self, forKey: .next)
        let frequency: Frequency
        switch (probability, next) {
        case (.some, .some):
            throw MockProviderError(.invalidFault, "\(name): give probability or next, not both")
        case (.none, .some(let count)): frequency = .next(count)
        case (.some(let probability), .none): frequency = .probability(probability)
        case (.none, .none): frequency = .probability(1)
        }
        self.init(
            try Kind(name: name, argument: argument), frequency,
            account: try container.decodeIfPresent(String.self, forKey: .account))
        try validate()
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind.name, forKey: .kind)
        try container.encodeIfPresent(kind.argument, forKey: .argument)
        switch frequency {
        case .probability(let probability): try container.encode(probability, forKey: .probability)
        case .next(let count): try container.encode(count, forKey: .next)
        }
        try container.encodeIfPresent(account, forKey: .account)
    }
}

extension Decoder {
    /// A misspelt key in an admin request is an error, not a silent no-op.
    func refuseUnknownKeys(besides known: [String]) throws {
        let container = try container(keyedBy: AnyKey.self)
        for key in container.allKeys where !known.contains(key.stringValue) {
            throw MockProviderError(
                .invalidRequest,
                "unknown key '\(key.stringValue)': the keys here are \(known.joined(separator: ", "))")
        }
    }
}

private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init?(stringValue: String) {
        self.stringValue = stringValue
    }

    init?(intValue: Int) {
        nil
    }
}
