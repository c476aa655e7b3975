/// A name that is not acceptable, and why.
public struct InvalidName: Error, Sendable, Hashable, CustomStringConvertible {
    public let kind: String
    public let reason: String

    public var description: String { "bad \(kind): \(reason)" }
}

/// What accounts, providers and instances are called: 1 to 200 (providers: 64) characters out of letters, digits and
/// `. _ - @ + :`. The set keeps names safe in Redis keys, URLs, logs and metric labels.
func validate(_ name: String, kind: String, limit: Int) throws(InvalidName) {
    guard !name.isEmpty else { throw InvalidName(kind: kind, reason: "it is empty") }
    guard name.utf8.count <= limit else {
        throw InvalidName(kind: kind, reason: "it has \(name.utf8.count) characters, at most \(limit) are allowed")
    }
    for byte in name.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "@"), UInt8(ascii: "+"), UInt8(ascii: ":"):
            continue
        default:
            throw InvalidName(kind: kind, reason: "only letters, digits and . _ - @ + : are allowed")
        }
    }
    if name == "." || name == ".." { throw InvalidName(kind: kind, reason: "\"\(name)\" is not a name") }
}

/// One identity at one provider: the unit that is refreshed, locked and reported on.
public struct AccountID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let rawValue: String

    /// - Throws: ``InvalidName`` unless `rawValue` has 1 to 200 characters out of letters, digits and `. _ - @ + :`.
    public init(_ rawValue: String) throws(InvalidName) {
        try validate(rawValue, kind: "account id", limit: 200)
        self.rawValue = rawValue
    }

    public var description: String { rawValue }
    public static func < (lhs: AccountID, rhs: AccountID) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// The name under which the configuration describes a token endpoint.
public struct ProviderName: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let rawValue: String

    /// - Throws: ``InvalidName`` unless `rawValue` has 1 to 64 characters out of letters, digits and `. _ - @ + :`.
    public init(_ rawValue: String) throws(InvalidName) {
        try validate(rawValue, kind: "provider name", limit: 64)
        self.rawValue = rawValue
    }

    public var description: String { rawValue }
    public static func < (lhs: ProviderName, rhs: ProviderName) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// Accounts from which callers take a token, whichever is available.
public struct PoolName: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let rawValue: String

    /// - Throws: ``InvalidName`` unless `rawValue` has 1 to 64 characters out of letters, digits and `. _ - @ + :`.
    public init(_ rawValue: String) throws(InvalidName) {
        try validate(rawValue, kind: "pool name", limit: 64)
        self.rawValue = rawValue
    }

    public var description: String { rawValue }
    public static func < (lhs: PoolName, rhs: PoolName) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// A rank within a pool: accounts of one tier are taken before those of the next.
public struct TierName: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let rawValue: String

    /// - Throws: ``InvalidName`` unless `rawValue` has 1 to 64 characters out of letters, digits and `. _ - @ + :`.
    public init(_ rawValue: String) throws(InvalidName) {
        try validate(rawValue, kind: "tier name", limit: 64)
        self.rawValue = rawValue
    }

    public var description: String { rawValue }
    public static func < (lhs: TierName, rhs: TierName) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// One Perennial process and its journal. Kept in the state directory, so it is the same after a restart.
public struct InstanceID: Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String

    /// - Throws: ``InvalidName`` unless `rawValue` has 1 to 100 characters out of letters, digits and `. _ - @ + :`.
    public init(_ rawValue: String) throws(InvalidName) {
        try validate(rawValue, kind: "instance id", limit: 100)
        self.rawValue = rawValue
    }

    public var description: String { rawValue }
}

/// One try at a refresh, unique over the fleet and for ever.
public struct AttemptID: Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    /// 128 random bits in hexadecimal.
    public init(using generator: inout some RandomNumberGenerator) {
        func hex(_ word: UInt64) -> String {
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        self.rawValue = hex(generator.next()) + hex(generator.next())
    }

    public var description: String { rawValue }
}

/// Grows by one whenever an account's credentials are replaced; never falls, never repeats. Stays below 2^53, so
/// that Lua in Redis, which counts in doubles, holds it exactly.
public struct Generation: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let rawValue: Int64

    public init(_ rawValue: Int64) {
        self.rawValue = rawValue
    }

    public var next: Generation { Generation(rawValue + 1) }
    public var description: String { String(rawValue) }
    public static func < (lhs: Generation, rhs: Generation) -> Bool { lhs.rawValue < rhs.rawValue }
}
