/// The named values that an account is made of where its provider has no refresh tokens: a user name and a password,
/// the subject of an assertion, or nothing at all.
public struct AccountFields: Sendable, Hashable {
    private var values: [String: Secret]

    /// Longest name of a field, and longest value of all fields together, in bytes.
    public static let maximumNameLength = 64
    public static let maximumLength = InvalidToken.maximumLength

    public init(_ values: [String: Secret] = [:]) {
        self.values = values
    }

    public subscript(_ name: String) -> Secret? { values[name] }

    public var names: [String] { values.keys.sorted() }

    /// Whether `name` can be a field's: a letter, then letters, digits and underscores.
    public static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, isLetter(first), name.utf8.count <= maximumNameLength else { return false }
        return name.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}

/// The one secret that is stored and sealed for an account: a refresh token, or ``AccountFields``.
///
/// Fields are packed into one text so that everything that keeps a refresh token keeps them as well. The control
/// character it begins with can be in no refresh token (RFC 6749 Appendix A.17), so that the two are never confused.
public enum AccountCredential: Sendable, Hashable {
    case refreshToken(Secret)
    case fields(AccountFields)

    private static let mark = "\u{1}fields:"

    public init(_ secret: Secret) {
        let text = secret.reveal()
        guard text.utf8.starts(with: Self.mark.utf8),
            let fields = Self.unpack(text.utf8.dropFirst(Self.mark.utf8.count))
        else {
            self = .refreshToken(secret)
            return
        }
        self = .fields(fields)
    }

    /// As it is stored: names and values each behind their length in bytes, in the order of the names.
    public var secret: Secret {
        switch self {
        case .refreshToken(let token): token
        case .fields(let fields):
            Secret(
                Self.mark
                    + fields.names.map { name in
                        let value = fields[name]?.reveal() ?? ""
                        return "\(name.utf8.count):\(name)\(value.utf8.count):\(value)"
                    }.joined())
        }
    }

    /// What is recognised when it comes again: a refresh token. Fields are not: what an account is made of stays the same
    /// while somebody unlocks the user or mends the key at the provider, and two accounts may well share it.
    public var refreshToken: Secret? {
        guard case .refreshToken(let token) = self, !token.isEmpty else { return nil }
        return token
    }

    /// Every secret in it, to be kept out of what is shown.
    public var parts: [Secret] {
        switch self {
        case .refreshToken(let token): [token]
        case .fields(let fields): fields.names.compactMap { fields[$0] }
        }
    }

    private static func unpack(_ text: Substring.UTF8View.SubSequence) -> AccountFields? {
        var rest = text
        func take() -> String? {
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            guard (1...6).contains(digits.count), let length = Int(String(decoding: digits, as: UTF8.self)) else {
                return nil
            }
            rest = rest.dropFirst(digits.count)
            guard rest.popFirst() == UInt8(ascii: ":"), rest.count >= length else { return nil }
            defer { rest = rest.dropFirst(length) }
            return String(validating: rest.prefix(length), as: UTF8.self)
        }
        var values: [String: Secret] = [:]
        while !rest.isEmpty {
            guard let name = take(), let value = take(), values.updateValue(Secret(value), forKey: name) == nil else {
                return nil
            }
        }
        return AccountFields(values)
    }
}

extension Credentials {
    /// Those of an account that has no refresh token.
    public init(
        fields: AccountFields, accessToken: Secret? = nil, tokenType: String = "Bearer", expiresAt: WallTime? = nil
    ) {
        self.init(
            refreshToken: AccountCredential.fields(fields).secret, accessToken: accessToken, tokenType: tokenType,
            expiresAt: expiresAt)
    }
}
