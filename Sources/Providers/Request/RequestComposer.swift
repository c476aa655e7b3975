import JSONText
import RefreshCore

/// Puts everything into a provider's request for one account at one moment.
struct RequestComposer {
    let definition: ProviderDefinition
    /// What the account is made of: its refresh token, or its fields.
    let credential: AccountCredential
    let moment: WallTime
    let uuid: String

    /// - Throws: ``TemplateFailure`` when a value is missing or unfit; then nothing may be sent.
    func compose() throws(TemplateFailure) -> RenderedRequest {
        let values = try values()
        return try definition.request.render { template throws(TemplateFailure) in try template.render(values) }
    }

    /// The same for people: what was a secret or was computed from one is `***`.
    func masked() throws(TemplateFailure) -> RenderedRequest {
        let values = try values()
        let secret = definition.secretNames
        let request = definition.request
        let given = definition.writtenTemplates.union(request.url.parts.map { Template(parts: [$0]) })
        return try request.render(hidesNumbers: definition.hasWrittenBody) { template throws(TemplateFailure) in
            try template.renderMasked(values, secret: secret, hidesText: given.contains(template))
        }
    }

    private func values() throws(TemplateFailure) -> TemplateValues {
        var values = TemplateValues(moment: moment, uuid: uuid)
        switch (credential, definition.accountFields) {
        case (.refreshToken(let token), nil): values.set("refresh_token", token.reveal())
        case (.fields(let fields), let wanted?):
            for name in wanted {
                guard let value = fields[name] else {
                    throw TemplateFailure(
                        "the account has no \(name): put it again with \(wanted.joined(separator: ", "))")
                }
                values.set("account.\(name)", value.reveal())
            }
        case (.fields, nil):
            throw TemplateFailure(
                "the account has fields and no refresh token, which provider \(definition.name) needs: put it again")
        case (.refreshToken, let wanted?):
            let what = wanted.isEmpty ? "no refresh token" : wanted.joined(separator: ", ")
            throw TemplateFailure(
                "the account has a refresh token, and provider \(definition.name) needs \(what): put it again")
        }
        if !definition.clientID.isEmpty { values.set("client_id", definition.clientID) }
        if let secret = definition.clientSecret { values.set("client_secret", secret.reveal()) }
        if let scope = definition.scope { values.set("scope", scope) }
        if let audience = definition.audience { values.set("audience", audience) }
        for variable in definition.variables { values.set("vars.\(variable.name)", variable.value.reveal()) }
        guard definition.computesValues else { return values }
        let names = definition.templates.reduce(into: Set<String>()) { $0.formUnion($1.names) }
        for field in definition.computed where names.contains("computed.\(field.name)") {
            values.set("computed.\(field.name)", try field.value.render(values))
        }
        if names.contains("assertion") { values.set("assertion", try assertion(values)) }
        if names.contains("client_assertion") { values.set("client_assertion", try clientAssertion(values)) }
        return values
    }

    // MARK: Assertions (RFC 7523 §3)

    private func assertion(_ values: TemplateValues) throws(TemplateFailure) -> String {
        guard let key = definition.signingKey else { throw TemplateFailure("the assertion has no signing key") }
        return try sign(definition.assertion, values, key, id: uuid, issuer: nil, subject: nil)
    }

    private func clientAssertion(_ values: TemplateValues) throws(TemplateFailure) -> String {
        let key: SigningKey
        if definition.clientAuth == .clientSecretJWT, let secret = definition.clientSecret {
            do {
                key = try SigningKey(.hs256, key: secret)
            } catch {
                throw TemplateFailure("client_secret \(error)")
            }
        } else if let given = definition.signingKey {
            key = given
        } else {
            throw TemplateFailure("the client assertion has no signing key")
        }
        return try sign(
            definition.clientAssertion, values, key, id: TokenRequest.newUUID(), issuer: definition.clientID,
            subject: definition.clientID)
    }

    /// What an assertion is for, unless the configuration says it: the token endpoint, without its query.
    private func tokenEndpoint(_ values: TemplateValues) throws(TemplateFailure) -> String {
        let url = try EndpointURL.render(definition.endpoint) { template throws(TemplateFailure) in
            try template.render(values)
        }
        return String(url.prefix { $0 != "?" })
    }

    private func sign(
        _ template: AssertionTemplate, _ values: TemplateValues, _ key: SigningKey, id: String, issuer: String?,
        subject: String?
    ) throws(TemplateFailure) -> String {
        let issued = moment.milliseconds / 1000
        var claims: [JSONValue.Member] = []
        if let issuer = try template.issuer?.render(values) ?? issuer {
            claims.append(.init(name: "iss", value: .string(issuer)))
        }
        if let subject = try template.subject?.render(values) ?? subject {
            claims.append(.init(name: "sub", value: .string(subject)))
        }
        let audience: String
        if let given = template.audience {
            audience = try given.render(values)
        } else {
            audience = try tokenEndpoint(values)
        }
        claims += [
            .init(name: "aud", value: .string(audience)), .init(name: "iat", value: .integer(issued)),
            .init(name: "exp", value: .integer(issued + template.lifetime.wholeMilliseconds / 1000)),
            // Each assertion has its own: servers refuse one that they have seen (RFC 7523 §3).
            .init(name: "jti", value: .string(id)),
        ]
        for claim in template.claims {
            claims.append(
                .init(
                    name: claim.name,
                    value: try claim.value.render { template throws(TemplateFailure) in try template.render(values) }))
        }
        let header = key.keyID.map { [JSONValue.Member(name: "kid", value: .string($0))] } ?? []
        return try JSONWebToken.sign(header: header, claims: claims, with: key)
    }
}

extension ProviderDefinition {
    /// Whether there is anything to compute for a request: fields, or what an assertion is signed with.
    fileprivate var computesValues: Bool {
        !computed.isEmpty || signingKey != nil || clientAuth.usesAssertion || grant == .jwtBearer
    }

    /// The names whose values are secrets, or are computed from some.
    var secretNames: Set<String> {
        var names: Set<String> = ["refresh_token", "client_secret", "assertion", "client_assertion"]
        names.formUnion((accountFields ?? []).map { "account.\($0)" })
        names.formUnion(variables.map { "vars.\($0.name)" })
        for field in computed {
            let isWritten = given.contains("computed.\(field.name)") && field.value.hasOwnText
            if isWritten || !field.value.names.isDisjoint(with: names) { names.insert("computed.\(field.name)") }
        }
        return names
    }

    /// Templates whose own text is the configuration's, and so may be a secret.
    var writtenTemplates: Set<Template> {
        var templates: Set<Template> = []
        for (key, fields) in [("params", parameters), ("query", query), ("headers", headers), ("computed", computed)] {
            for field in fields where given.contains("\(key).\(field.name)") { templates.insert(field.value) }
        }
        if hasWrittenBody {
            templates.formUnion(RequestTemplate(url: Template(literal: ""), body: body ?? .none).templates)
        }
        return templates
    }

    var hasWrittenBody: Bool { given.contains("request.body") }
}

extension Template {
    /// - Parameters:
    ///   - secret: names whose values are not shown, nor what is computed from them.
    ///   - hidesText: whether the text between the placeholders, and in quotes, is left out too.
    func renderMasked(
        _ values: TemplateValues, secret: Set<String>, hidesText: Bool
    ) throws(TemplateFailure) -> String {
        var result = ""
        for part in parts {
            switch part {
            case .text(let text):
                result += hidesText && text.isTelling ? "***" : text
            case .value(let expression):
                var names: Set<String> = []
                expression.collect(&names)
                let isHidden = !names.isDisjoint(with: secret) || (hidesText && expression.hasOwnText)
                result += isHidden ? "***" : try expression.evaluate(values)
            }
        }
        return result
    }
}
