/// Short texts by which people sort accounts: `team=search`. In the order of their keys wherever they are shown.
public struct AccountLabels: Sendable, Hashable, CustomStringConvertible {
    /// What labels can be at most.
    public static let maximumCount = 32
    public static let maximumKeyLength = 63
    public static let maximumValueLength = 200

    public private(set) var values: [String: String]

    public static let none = AccountLabels(unchecked: [:])

    /// - Throws: ``InvalidName`` for too many labels, a key that is no name (1 to 63 characters out of letters, digits and
    ///   `. _ - @ + :`), or a value that is empty, longer than 200 characters or holds control characters.
    public init(_ values: [String: String]) throws(InvalidName) {
        guard values.count <= Self.maximumCount else {
            throw InvalidName(
                kind: "labels", reason: "there are \(values.count), at most \(Self.maximumCount) are allowed")
        }
        for (key, value) in values { try Self.check(key: key, value: value) }
        self.values = values
    }

    /// For labels that were checked before they were stored.
    public init(unchecked values: [String: String]) {
        self.values = values
    }

    /// - Throws: ``InvalidName``.
    public static func check(key: String, value: String) throws(InvalidName) {
        try check(key: key)
        guard !value.isEmpty else {
            throw InvalidName(kind: "label \(key)", reason: "its value is empty; remove the label instead")
        }
        guard value.count <= maximumValueLength else {
            throw InvalidName(
                kind: "label \(key)",
                reason: "its value has \(value.count) characters, at most \(maximumValueLength) are allowed")
        }
        guard value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
            throw InvalidName(kind: "label \(key)", reason: "its value holds a control character")
        }
    }

    /// - Throws: ``InvalidName``.
    public static func check(key: String) throws(InvalidName) {
        try validate(key, kind: "label", limit: maximumKeyLength)
    }

    public var isEmpty: Bool { values.isEmpty }
    public var isTooMany: Bool { values.count > Self.maximumCount }
    public subscript(_ key: String) -> String? { values[key] }

    /// `key=value` each, in the order of the keys' bytes.
    public var lines: [String] {
        values.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { "\($0.key)=\($0.value)" }
    }

    public var description: String { lines.joined(separator: ", ") }
}

/// What is to become of an account's labels.
public enum LabelChange: Sendable, Hashable {
    case keep
    /// These and no others.
    case replace(AccountLabels)
    /// Sets some and removes others (nil), whatever else there is.
    case merge([String: String?])

    /// The labels after the change; whether they are too many is for the store to say.
    public func applied(to old: AccountLabels) -> AccountLabels {
        switch self {
        case .keep: return old
        case .replace(let labels): return labels
        case .merge(let changes):
            var values = old.values
            for (key, value) in changes { values[key] = value }
            return AccountLabels(unchecked: values)
        }
    }

    public var isKeep: Bool { self == .keep }

    /// - Throws: ``InvalidName`` for a label that cannot be one.
    public func check() throws(InvalidName) {
        guard case .merge(let changes) = self else { return }
        guard changes.count <= AccountLabels.maximumCount else {
            throw InvalidName(
                kind: "labels", reason: "\(changes.count) at once, at most \(AccountLabels.maximumCount) are allowed")
        }
        for (key, value) in changes {
            if let value {
                try AccountLabels.check(key: key, value: value)
            } else {
                try AccountLabels.check(key: key)
            }
        }
    }
}
