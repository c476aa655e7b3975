import MockProvider

extension TableRow {
    /// All lines of the table.
    static func all(_ keys: AssertionKeys) -> [TableRow] {
        oauth2 + clientCredentials + jwtBearer(keys) + [claude, gemini] + openAI + [pixiv] + warp + [intranet]
    }

    // MARK: RFC 6749

    private static var oauth2: [TableRow] {
        let variations: [(DoubleStyle.Body, DoubleStyle.ClientAuthentication, DoubleStyle.Expiry)] = [
            (.form, .basic, .expiresIn), (.json, .post, .expiresInText), (.form, .post, .expiresAtSeconds),
            (.json, .none, .expiresAtMilliseconds), (.form, .none, .expiresAtISO), (.json, .basic, .claim),
        ]
        return variations.enumerated().map { index, variation in
            let (body, authentication, expiry) = variation
            var double = DoubleConfiguration(
                .oauth2, style: DoubleStyle(bodies: [body], clientAuthentication: authentication, expiry: expiry))
            double.scope = "read write:all"
            return TableRow(
                name: index == 0 ? "oauth2" : "oauth2 \(body.rawValue), \(authentication.rawValue), \(expiry.rawValue)",
                double: double, preset: "oauth2",
                settings: [
                    "request_format: \(body.rawValue)", "client_auth: \(authentication.rawValue)",
                    "scope: [read, \"write:all\"]", "audience: \"https://api.example.com/ä\"",
                    "resource: https://api.example.com/", "params: { extra: \"1&2\" }", "rotation: single_use",
                ], variationOf: index == 0 ? nil : "oauth2")
        }
    }

    private static var clientCredentials: [TableRow] {
        [DoubleStyle.ClientAuthentication.basic, .post].map { authentication in
            var double = DoubleConfiguration(
                .clientCredentials,
                style: DoubleStyle(bodies: [.form], clientAuthentication: authentication, expiry: .expiresIn))
            double.scope = "read"
            return TableRow(
                name: authentication == .basic ? "client_credentials" : "client_credentials post", double: double,
                preset: "client_credentials",
                settings: ["client_auth: \(authentication.rawValue)", "scope: read"],
                variationOf: authentication == .basic ? nil : "client_credentials")
        }
    }

    private static func jwtBearer(_ keys: AssertionKeys) -> [TableRow] {
        keys.all.map { key in
            var double = DoubleConfiguration(.jwtBearer)
            double.assertionKey = key.publicPEM
            return TableRow(
                name: key.isUsual ? "jwt_bearer" : "jwt_bearer \(key.algorithm)", double: double, preset: "jwt_bearer",
                settings: [
                    "signing: { algorithm: \(key.algorithm), key: \(YAMLText.quoted(key.privatePEM)) }",
                    "account_fields: [subject]",
                    "assertion: { issuer: \(double.clientID), subject: \"{{ account.subject }}\", "
                        + "audience: \"\(TableRow.tokenURLMark)\" }",
                ], credentials: { ["subject": $0.account] }, variationOf: key.isUsual ? nil : "jwt_bearer")
        }
    }

    // MARK: Single providers

    private static var claude: TableRow {
        TableRow(name: "claude", double: DoubleConfiguration(.claude), preset: "claude")
    }

    private static var gemini: TableRow {
        TableRow(name: "gemini", double: DoubleConfiguration(.gemini), preset: "gemini")
    }

    private static var openAI: [TableRow] {
        [DoubleStyle.Body.form, .json].map { body in
            TableRow(
                name: body == .form ? "openai" : "openai json",
                double: DoubleConfiguration(
                    .openai, style: DoubleStyle(bodies: [body], clientAuthentication: .none, expiry: .expiresIn)),
                preset: "openai", settings: ["request_format: \(body.rawValue)"],
                variationOf: body == .form ? nil : "openai")
        }
    }

    private static var pixiv: TableRow {
        let double = DoubleConfiguration(.pixiv)
        return TableRow(
            name: "pixiv", double: double, preset: "pixiv",
            settings: ["vars: { hash_secret: \(YAMLText.quoted(double.hashSecret)) }", headers(double)])
    }

    private static var warp: [TableRow] {
        [DoubleStyle.Expiry.claim, .expiresInText].map { expiry in
            let double = DoubleConfiguration(
                .warp, style: DoubleStyle(bodies: [.form], clientAuthentication: .none, expiry: expiry))
            return TableRow(
                name: expiry == .claim ? "warp" : "warp, Firebase's own endpoint", double: double, preset: "warp",
                settings: ["vars: { key: \(YAMLText.quoted(double.apiKey)) }", headers(double)],
                variationOf: expiry == .claim ? nil : "warp")
        }
    }

    /// The headers of the provider's own applications.
    private static func headers(_ double: DoubleConfiguration) -> String {
        let headers = double.requiredHeaders.sorted { $0.key < $1.key }
        return "headers: { \(headers.map { "\($0.key): \(YAMLText.quoted($0.value))" }.joined(separator: ", ")) }"
    }

    private static var intranet: TableRow {
        TableRow(
            name: "intranet", double: DoubleConfiguration(.intranet), preset: "intranet",
            settings: [
                "response: { access_token: /data/token, expires_in: /data/expires_in }",
                "errors:", "  token:", "    - { json: { /code: 40001 }, class: refused }",
                "    - { json: { /code: 40013 }, class: misconfigured }",
                "    - { json: { /code: [50000, 50001] }, class: ambiguous }",
            ], credentials: { ["username": $0.account, "password": $0.password ?? ""] })
    }
}
