import JSONText
import RefreshCore

/// The body of `PUT /v1/accounts/{id}`.
struct AccountBody {
    static let fields =
        ["provider", "name", "refresh_token", "credentials", "access_token", "expires_at", "grant_expires_at", "force"]
        + TraitChanges.bodyFields

    var provider: ProviderName
    var name: String?
    var credentials: Credentials
    var traits: TraitChanges
    /// Take the refresh token though it was refused before, or is another account's.
    var isForced: Bool

    /// - Throws: ``Problem`` (400) naming the field that is missing, unknown or not acceptable.
    init(_ bytes: [UInt8]) throws(Problem) {
        var fields = try JSONFields(bytes)
        guard let providerText = try fields.string("provider") else {
            throw Problem(.malformedBody, "provider is missing")
        }
        let secret = try Self.secret(&fields)
        let accessToken = try fields.string("access_token")
        name = try fields.string("name")
        let expiresAt = try Self.time(fields.take("expires_at"), of: "expires_at")
        let grantExpiresAt = try Self.time(fields.take("grant_expires_at"), of: "grant_expires_at")
        isForced = try fields.bool("force") ?? false
        traits = try TraitChanges(&fields, isWhole: true)
        try fields.finish(allowed: Self.fields)
        do {
            provider = try ProviderName(providerText)
        } catch {
            throw Problem(.invalidAccount, error.description)
        }
        credentials = Credentials(
            refreshToken: secret, accessToken: accessToken.map { Secret($0) }, expiresAt: expiresAt,
            grantExpiresAt: grantExpiresAt)
    }

    /// `refresh_token`, or for providers without refresh tokens `credentials: { FIELD: text }`, or nothing where they
    /// need nothing; which of them it has to be, the provider says.
    private static func secret(_ fields: inout JSONFields) throws(Problem) -> Secret {
        let refreshToken = try fields.string("refresh_token")
        guard let value = fields.take("credentials") else {
            return refreshToken.map { Secret($0) } ?? AccountCredential.fields(AccountFields()).secret
        }
        guard refreshToken == nil else {
            throw Problem(
                .malformedBody, "refresh_token and credentials exclude each other: give what the provider needs")
        }
        guard case .object(let members) = value else {
            throw Problem(.malformedBody, "credentials has to be an object of strings, not \(value.kind)")
        }
        var values: [String: Secret] = [:]
        for member in members {
            let name = JSONFields.shown(member.name)
            guard AccountFields.isName(member.name) else {
                throw Problem(.malformedBody, "credentials has \(name), which is no name of a field")
            }
            guard case .string(let text) = member.value else {
                throw Problem(.malformedBody, "credentials: \(name) has to be a string, not \(member.value.kind)")
            }
            guard values.updateValue(Secret(text), forKey: member.name) == nil else {
                throw Problem(.malformedBody, "credentials has \(name) twice")
            }
        }
        return AccountCredential.fields(AccountFields(values)).secret
    }

    /// RFC 3339 or seconds since 1970.
    static func time(_ value: JSONValue?, of field: String) throws(Problem) -> WallTime? {
        let seconds: Double
        switch value {
        case .none: return nil
        case .string(let text):
            guard let time = Timestamp.parse(text) else {
                throw Problem(
                    .malformedBody,
                    "\(field) has to be a time like 2026-01-31T12:00:00Z (RFC 3339) or seconds since 1970")
            }
            return time
        case .integer(let whole): seconds = Double(whole)
        case .number(let number): seconds = number
        case .some(let other):
            throw Problem(.malformedBody, "\(field) has to be a time or seconds since 1970, not \(other.kind)")
        }
        guard seconds >= 0, seconds < 1e11 else {
            throw Problem(
                .malformedBody, "\(field) is out of range: seconds since 1970 are wanted, not milliseconds")
        }
        return WallTime(seconds: seconds)
    }
}

/// The body of `PATCH /v1/accounts/{id}`.
struct AccountPatch {
    var name: String?
    var enabled: Bool?
    var traits: TraitChanges

    /// - Throws: ``Problem`` (400) naming the field that is unknown or not acceptable.
    init(_ bytes: [UInt8]) throws(Problem) {
        var fields = try JSONFields(bytes)
        name = try fields.string("name")
        enabled = try fields.bool("enabled")
        traits = try TraitChanges(&fields, isWhole: false)
        let known = ["name", "enabled"] + TraitChanges.bodyFields
        try fields.finish(allowed: known)
        guard name != nil || enabled != nil || !traits.isEmpty else {
            throw Problem(.malformedBody, "nothing to change: give at least one of \(known.joined(separator: ", "))")
        }
    }
}
