import ConfigurationFile
import RefreshCore

extension LoginDefinition {
    /// Reads `login` of a provider: `flow` (loopback, paste, device), `authorization_url`, `device_authorization_url`,
    /// `redirect_uri`, `redirect_ports`, `scope`, `params`, `issuer`, `exchange: { token_url, request_format,
    /// client_auth, params, headers, include_state }`, `account_id` and `account_name` (`/place/in/the/answer` or
    /// `id_token:/claim`).
    init(reading section: ConfigurationSection) {
        self.init()
        flow = section.choice("flow")
        authorizationURL = Self.endpoint("authorization_url", section)
        deviceAuthorizationURL = Self.endpoint("device_authorization_url", section)
        redirectURI = section.string("redirect_uri").flatMap { text in
            do throws(RedirectURI.Malformed) {
                return try RedirectURI(text)
            } catch {
                section.report(.invalidValue, "redirect_uri", error.description)
                return nil
            }
        }
        redirectPorts = Self.ports(section)
        scope = section.oneOrMany("scope")?.joined(separator: " ")
        parameters = Self.fields("params", section, reserved: Self.ownParameters)
        issuer = section.string("issuer")
        exchange = section.section("exchange") { Self.exchange($0) }
        accountID = Self.source("account_id", section)
        accountName = Self.source("account_name", section)
        if redirectPorts != nil, redirectURI?.port != nil {
            section.report(
                .contradiction, "redirect_ports",
                "is not used, for redirect_uri has a port of its own: remove one of them")
        }
    }

    /// Parameters of the authorization request that the log-in itself makes.
    private static let ownParameters: Set<String> = [
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
        "code_challenge_method",
    ]

    private static let ownExchangeParameters: Set<String> = [
        "grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "device_code", "state",
    ]

    private static func endpoint(_ key: String, _ section: ConfigurationSection) -> String? {
        guard let text = section.string(key, secret: true) else { return nil }
        do {
            let url = try EndpointURL(text)
            guard url.scheme == "https" || url.isLoopback else {
                section.report(.invalidValue, key, "would be called unencrypted: use https://")
                return nil
            }
            return url.text
        } catch {
            section.report(.invalidValue, key, error.description)
            return nil
        }
    }

    private static func ports(_ section: ConfigurationSection) -> [Int]? {
        guard let texts = section.oneOrMany("redirect_ports") else { return nil }
        let ports = texts.compactMap { text in Int(text).flatMap { (1...65535).contains($0) ? $0 : nil } }
        guard ports.count == texts.count, !ports.isEmpty else {
            section.report(.invalidValue, "redirect_ports", "has to be a list of ports from 1 to 65535")
            return nil
        }
        return ports
    }

    private static func fields(
        _ key: String, _ section: ConfigurationSection, reserved: Set<String>
    ) -> [Field]? {
        section.section(key) { params in
            params.keys.compactMap { name in
                guard !reserved.contains(name) else {
                    params.report(.invalidValue, name, "cannot be set here: it is made with the request")
                    return nil
                }
                return params.string(name, secret: true).map { Field(name: name, value: Secret($0)) }
            }
        }
    }

    private static func exchange(_ section: ConfigurationSection) -> Exchange {
        var exchange = Exchange()
        exchange.tokenURL = endpoint("token_url", section)
        exchange.requestFormat = section.choice("request_format")
        exchange.clientAuth = section.choice("client_auth")
        exchange.parameters = fields("params", section, reserved: ownExchangeParameters) ?? []
        exchange.headers = headers(section) ?? []
        exchange.includesState = section.bool("include_state") ?? false
        return exchange
    }

    private static func headers(_ section: ConfigurationSection) -> [Field]? {
        section.section("headers") { headers in
            headers.keys.compactMap { name in
                guard HTTPText.isToken(name), !["authorization", "content-type"].contains(name.lowercased()) else {
                    headers.report(.invalidValue, name, "is not the name of a header, or one that cannot be set here")
                    return nil
                }
                guard let value = headers.string(name, secret: true) else { return nil }
                guard HTTPText.isFieldValue(value) else {
                    headers.report(.invalidValue, name, "holds a character that a header cannot have")
                    return nil
                }
                return Field(name: name, value: Secret(value))
            }
        }
    }

    private static func source(_ key: String, _ section: ConfigurationSection) -> LoginIdentitySource? {
        guard let text = section.string(key) else { return nil }
        let claim = "id_token:"
        do {
            if text.hasPrefix(claim) { return .idToken(try JSONPointer(String(text.dropFirst(claim.count)))) }
            return .answer(try JSONPointer(text))
        } catch {
            section.report(
                .invalidValue, key,
                "\(Quoted.text(text)) is no place: write /account/id for a member of the answer, or id_token:/email for a "
                    + "claim of the ID token (RFC 6901)")
            return nil
        }
    }
}
