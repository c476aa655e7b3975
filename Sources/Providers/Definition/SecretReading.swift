import ConfigurationFile
import RefreshCore

/// Reads what is secret: from the file itself, or from a file that it names.
enum SecretReading {
    /// `KEY`, or `KEY_file`.
    static func secret(_ section: ConfigurationSection, _ key: String) -> Secret? {
        let fileKey = "\(key)_file"
        let value = section.string(key, secret: true)
        let file = section.string(fileKey)
        if section.contains(key), section.contains(fileKey) {
            section.report(.contradiction, fileKey, "give either \(key) or \(fileKey), not both")
            return nil
        }
        guard let file else { return value.map { Secret($0) } }
        do {
            return Secret(try BoundedFile.readSecret(file))
        } catch {
            section.report(.unreadable, fileKey, error.description)
            return nil
        }
    }

    /// `NAME: value` or `NAME_file: path`, for templates to use as `vars.NAME`.
    static func variables(_ section: ConfigurationSection) -> [ProviderVariable] {
        var variables: [ProviderVariable] = []
        let keys = section.keys
        for key in keys {
            let name = key.hasSuffix("_file") ? String(key.dropLast(5)) : key
            guard AccountFields.isName(name) else {
                section.report(.invalidValue, key, "is no name: write letters, digits and underscores")
                continue
            }
            if key != name, keys.contains(name) {
                section.report(.contradiction, key, "give either \(name) or \(key), not both")
                continue
            }
            if let secret = secret(section, name) { variables.append(ProviderVariable(name: name, value: secret)) }
        }
        return variables
    }

    /// `{ algorithm: RS256, key_file: /path.pem, key_id: … }`.
    static func signingKey(_ section: ConfigurationSection) -> SigningKey? {
        let algorithm =
            section.contains("algorithm") ? section.choice("algorithm", of: SigningKey.Algorithm.self) : .rs256
        let key = secret(section, "key")
        let keyID = section.string("key_id")
        if !section.contains("key"), !section.contains("key_file") {
            section.report(.missing, "needs key_file: the path of a PEM file (or key: the key itself)")
        }
        guard let algorithm, let key else { return nil }
        do {
            return try SigningKey(algorithm, key: key, keyID: keyID)
        } catch {
            section.report(.invalidValue, section.contains("key") ? "key" : "key_file", error.description)
            return nil
        }
    }
}

/// What a text says about an assertion.
struct AssertionFields {
    var issuer: Template?
    var subject: Template?
    var audience: Template?
    var lifetime: Duration?
    var claims: [JSONTemplate.Member]?

    init() {}

    /// - Parameter isClient: whether it is the client's own, whose issuer and subject are the client id.
    init(reading section: ConfigurationSection, _ reader: inout TemplateReader, isClient: Bool) {
        if !isClient {
            issuer = reader.template(section, "issuer")
            subject = section.isNull("subject") ? nil : reader.template(section, "subject")
        }
        audience = reader.template(section, "audience")
        lifetime = section.duration("lifetime", in: .seconds(10) ... .seconds(3600))
        guard let value = section.value("claims"), let read = reader.json(value, in: section) else { return }
        guard case .object(let members) = read else {
            section.report(.invalidValue, value, "has to be a mapping of names to values")
            return
        }
        let reserved = ["iss", "sub", "aud", "iat", "exp", "jti"]
        for member in members where reserved.contains(member.name) {
            section.report(
                .invalidValue, value,
                "cannot hold \(member.name): it is made from issuer, subject, audience, lifetime and the time")
        }
        claims = members
    }

    func over(_ preset: AssertionFields?) -> AssertionTemplate {
        var template = AssertionTemplate()
        template.issuer = issuer ?? preset?.issuer
        template.subject = subject ?? preset?.subject
        template.audience = audience ?? preset?.audience
        template.lifetime = lifetime ?? preset?.lifetime ?? template.lifetime
        template.claims = claims ?? preset?.claims ?? []
        return template
    }
}
