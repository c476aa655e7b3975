import RefreshCore

/// Cool-downs as Redis holds them and as instances announce them.
///
/// A field is the id of the account, or that, a slash and the percent-encoded dimension: neither has a blank, and an id has
/// no slash. The field ``version`` is none: it holds the version of the last change. A value is `v1 SINCE UNTIL REPEATS TOLD PROBE CAUSE`, times in ms, told 0 or 1, `-` for no probe, and the cause up to
/// the end. An announcement is `cooldown POOL FIELD VERSION VALUE`, with `-` as the value of one that has ended: more words than any
/// that older versions read.
enum CooldownText {
    /// No account can be called that. `cooldown_prelude.lua` says it too.
    static let version = "#version"

    static func field(_ key: CooldownKey) -> String {
        guard let dimension = key.dimension else { return key.account.rawValue }
        return "\(key.account.rawValue)/\(encode(dimension))"
    }

    static func key(_ field: some StringProtocol) -> CooldownKey? {
        let parts = field.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let account = try? AccountID(String(parts[0])) else { return nil }
        guard parts.count == 2 else { return CooldownKey(account: account) }
        guard let dimension = decode(parts[1]), !dimension.isEmpty else { return nil }
        return CooldownKey(account: account, dimension: dimension)
    }

    /// Nil for what a newer version may have written.
    static func cooldown(field: some StringProtocol, value: String) -> Cooldown? {
        let words = value.split(separator: " ", maxSplits: 6, omittingEmptySubsequences: false)
        guard words.count >= 6, words[0] == "v1", let key = key(field), let since = Int64(words[1]),
            let until = Int64(words[2]), let repeats = Int(words[3]), repeats > 0
        else { return nil }
        return Cooldown(
            key: key, since: WallTime(milliseconds: since), until: WallTime(milliseconds: until), repeats: repeats,
            isTold: words[4] == "1", probe: words[5] == "-" ? nil : AttemptID(rawValue: String(words[5])),
            cause: words.count > 6 ? String(words[6]) : "")
    }

    static func change(field: some StringProtocol, value: String) -> CooldownChange? {
        if value == "-" { return key(field).map { .ended($0) } }
        return cooldown(field: field, value: value).map { .set($0) }
    }

    /// All but letters, digits and `-._~` (RFC 3986 §2.3).
    private static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
