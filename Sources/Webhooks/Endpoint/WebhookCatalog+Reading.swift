public import ConfigurationFile
import RefreshCore

extension WebhookCatalog {
    /// Reads the section `webhooks`, whose keys are the names of endpoints.
    ///
    /// Keys of an endpoint: `url` or `url_file`, `secret`, `secrets`, `secret_file`, `events`, `accounts`, `providers`,
    /// `headers`, `format`, `template` or `template_file`, `content_type`, `bot_secret` or `bot_secret_file`, `chat_id`,
    /// `timeout`, `max_age`, `backoff` (`base, cap`), `ca_file`, `allow_insecure_http`.
    public static func read(_ section: ConfigurationSection) -> WebhookCatalog {
        var endpoints: [WebhookEndpoint] = []
        for name in section.keys {
            let endpoint = section.section(name) { EndpointReading(name: name, section: $0).endpoint() } ?? nil
            if !isName(name) {
                section.report(
                    .invalidValue, name, "a name has 1 to 64 characters out of letters, digits and . _ -")
            } else if let endpoint {
                endpoints.append(endpoint)
            }
        }
        return WebhookCatalog(endpoints)
    }

    static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || Array("._-".utf8).contains(byte)
            }
    }
}

/// Reads one endpoint; what is wrong is reported, and nil answered where nothing can be sent.
private struct EndpointReading {
    let name: String
    let section: ConfigurationSection

    func endpoint() -> WebhookEndpoint? {
        let format = section.choice("format", of: BodyFormat.self)
        let body = body(format)
        let url = url()
        var endpoint = WebhookEndpoint(name: name, url: url ?? Secret(""))
        endpoint.body = body ?? .standard
        endpoint.secrets = secrets()
        endpoint.selection = selection()
        endpoint.headers = headers()
        endpoint.botSecret = secret("bot_secret")
        endpoint.chatID = section.string("chat_id")
        checkBot(endpoint, format)
        endpoint.timeout = section.duration("timeout", in: .milliseconds(100) ... .seconds(120)) ?? endpoint.timeout
        endpoint.maxAge =
            section.duration("max_age", in: .seconds(1) ... .seconds(30 * 86_400)) ?? endpoint.maxAge
        endpoint.backoff = section.section("backoff") { backoff($0) } ?? endpoint.backoff
        endpoint.caFile = section.string("ca_file")
        return url == nil || body == nil || !section.isMapping ? nil : endpoint
    }

    // MARK: Where to

    private func url() -> Secret? {
        let allowInsecure = section.bool("allow_insecure_http") ?? false
        let key = section.contains("url_file") ? "url_file" : "url"
        guard let url = secret("url") else {
            if section.isMapping, !section.contains("url"), !section.contains("url_file") {
                section.report(.missing, "has no url: write url: https://HOST/PATH, or url_file")
            }
            return nil
        }
        if let reason = WebhookURL.reasonAgainst(url.reveal(), allowInsecure: allowInsecure) {
            section.report(.invalidValue, key, reason)
            return nil
        }
        return url
    }

    private func headers() -> [WebhookEndpoint.Header] {
        let made = [
            "webhook-id", "webhook-timestamp", "webhook-signature", "content-length", "transfer-encoding", "expect",
            "host", "connection",
        ]
        var headers: [WebhookEndpoint.Header] = []
        _ = section.section("headers") { section in
            for name in section.keys {
                guard let value = section.string(name, secret: true) else { continue }
                if !Self.isToken(name) {
                    section.report(.invalidValue, name, "is no name of a header")
                } else if made.contains(name.lowercased()) {
                    section.report(.invalidValue, name, "is made by Perennial: leave it out")
                } else if name.lowercased() == "content-type" {
                    section.report(.invalidValue, name, "is set by content_type beside the template")
                } else if value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 >= 0x7F }) {
                    section.report(.invalidValue, name, "holds a control or non-ASCII character")
                } else {
                    headers.append(.init(name: name, value: Secret(value)))
                }
            }
        }
        return headers
    }

    /// RFC 9110 §5.6.2.
    private static func isToken(_ text: String) -> Bool {
        let punctuation = Array("!#$%&'*+-.^_`|~".utf8)
        return !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || punctuation.contains(byte)
            }
    }

    // MARK: Secrets

    /// A secret given as such or in the file that `KEY_file` names; not both.
    private func secret(_ key: String) -> Secret? {
        let value = section.string(key, secret: true)
        let file = section.string("\(key)_file")
        guard section.contains("\(key)_file") else { return value.map { Secret($0) } }
        guard !section.contains(key) else {
            section.report(.contradiction, "\(key)_file", "give either \(key) or \(key)_file, not both")
            return nil
        }
        guard let file else { return nil }
        do {
            return Secret(try BoundedFile.readSecret(file))
        } catch {
            section.report(.unreadable, "\(key)_file", error.description)
            return nil
        }
    }

    private func secrets() -> [SigningSecret] {
        var secrets: [SigningSecret] = []
        func add(_ text: String, _ key: String) {
            do {
                secrets.append(try SigningSecret(text))
            } catch {
                section.report(.invalidValue, key, error.description)
            }
        }
        if section.contains("secrets"), section.contains("secret") || section.contains("secret_file") {
            section.report(.contradiction, "secrets", "give either secret or secrets, not both")
        }
        if let one = secret("secret") {
            // One a line, so that a file can hold the old and the new one.
            for line in one.reveal().split(whereSeparator: \.isNewline) {
                add(String(line), section.contains("secret_file") ? "secret_file" : "secret")
            }
        }
        section.elements(
            "secrets", text: { text, _ in add(text, "secrets") },
            mapping: { element in
                let file = element.string("file")
                guard let file else {
                    return element.report(.invalidValue, "has to be a secret, or file: PATH")
                }
                do throws(BoundedFile.Failure) {
                    add(try BoundedFile.readSecret(file), "secrets")
                } catch {
                    element.report(.unreadable, "file", error.description)
                }
            })
        if section.contains("secrets"), secrets.isEmpty { section.report(.invalidValue, "secrets", "holds no secret") }
        return secrets
    }

    // MARK: What is sent

    private func selection() -> EventSelection {
        var selection = EventSelection()
        for text in section.oneOrMany("events") ?? [] {
            let isExcluded = text.hasPrefix("!")
            let pattern = EventSelection.Pattern(isExcluded ? String(text.dropFirst()) : text)
            if !EventType.all.contains(where: { pattern.matches($0) }) {
                let nearest = EditDistance.nearest(to: pattern.text, among: EventType.all)
                section.report(
                    .invalidValue, "events",
                    "\(Quoted.text(text)) is no event"
                        + (nearest.map { ": did you mean \($0)?" }
                            ?? ": there are \(EventType.all.joined(separator: ", ")); * stands for anything"))
            }
            if isExcluded { selection.excludedTypes.append(pattern) } else { selection.types.append(pattern) }
        }
        selection.accounts = (section.oneOrMany("accounts") ?? []).map { EventSelection.Pattern($0) }
        selection.providers = (section.oneOrMany("providers") ?? []).map { EventSelection.Pattern($0) }
        return selection
    }

    private func body(_ format: BodyFormat?) -> BodyTemplate? {
        let inline = section.string("template")
        let file = section.string("template_file")
        let contentType = section.string("content_type")
        if let contentType, !contentType.contains("/") || contentType.utf8.contains(where: { $0 < 0x20 || $0 >= 0x7F })
        {
            section.report(.invalidValue, "content_type", "is no media type: write for example application/json")
        }
        guard section.contains("template") || section.contains("template_file") else {
            if contentType != nil {
                section.report(.contradiction, "content_type", "belongs to a template: the formats have their own")
            }
            return BodyTemplate(format ?? .json)
        }
        if section.contains("format") {
            section.report(.contradiction, "format", "give either format or a template, not both")
        }
        if inline != nil, file != nil {
            section.report(.contradiction, "template_file", "give either template or template_file, not both")
        }
        let key = inline == nil ? "template_file" : "template"
        do {
            guard let text = try inline ?? file.map({ try read($0) }) else { return nil }
            return try BodyTemplate(text: text, contentType: contentType ?? "application/json")
        } catch let error as BodyTemplate.Malformed {
            section.report(.invalidValue, key, error.description)
        } catch let error as BoundedFile.Failure {
            section.report(.unreadable, key, error.description)
        } catch {
            section.report(.invalidValue, key, "cannot be used")
        }
        return nil
    }

    private func read(_ file: String) throws -> String {
        let bytes = try BoundedFile.read(file, limit: BodyTemplate.maximumSize)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw BodyTemplate.Malformed(description: "\(file) is not UTF-8 text")
        }
        return text
    }

    private func checkBot(_ endpoint: WebhookEndpoint, _ format: BodyFormat?) {
        let isTemplate = endpoint.body.format == nil
        if endpoint.botSecret != nil, format != .feishu, format != .dingtalk {
            section.report(
                .contradiction, section.contains("bot_secret") ? "bot_secret" : "bot_secret_file",
                "is for format: feishu and format: dingtalk; for others write secret")
        }
        if format == .telegram, !section.contains("chat_id") {
            section.report(.missing, "has no chat_id: write the number of the Telegram chat, or @CHANNEL")
        }
        if section.contains("chat_id"), format != .telegram, !isTemplate {
            section.report(.contradiction, "chat_id", "is for format: telegram, and for templates")
        }
    }

    private func backoff(_ section: ConfigurationSection) -> WebhookEndpoint.Backoff {
        var backoff = WebhookEndpoint.Backoff()
        backoff.base = section.duration("base", in: .milliseconds(10) ... .seconds(3600)) ?? backoff.base
        backoff.cap = section.duration("cap", in: .milliseconds(10) ... .seconds(86_400)) ?? backoff.cap
        if backoff.cap < backoff.base { section.report(.contradiction, "cap", "has to be at least base") }
        return backoff
    }
}

extension WebhookEndpoint {
    /// The effective settings, key by key as in the configuration; secrets only say that they are set.
    public var settings: [(key: String, value: String)] {
        var settings: [(key: String, value: String)] = [("url", maskedURL)]
        settings.append(("secrets", secrets.isEmpty ? "not set (requests are not signed)" : "\(secrets.count) set"))
        settings.append(("events", selection.text))
        if !selection.accounts.isEmpty {
            settings.append(("accounts", selection.accounts.map(\.text).joined(separator: ", ")))
        }
        if !selection.providers.isEmpty {
            settings.append(("providers", selection.providers.map(\.text).joined(separator: ", ")))
        }
        settings.append(("format", body.format?.rawValue ?? "template (\(body.contentType))"))
        for header in headers { settings.append(("headers.\(header.name)", header.value.description)) }
        if botSecret != nil { settings.append(("bot_secret", "set")) }
        if let chatID { settings.append(("chat_id", chatID)) }
        settings.append(("timeout", DurationText.format(timeout)))
        settings.append(("max_age", DurationText.format(maxAge)))
        settings.append(("backoff", "\(DurationText.format(backoff.base)) to \(DurationText.format(backoff.cap))"))
        if let caFile { settings.append(("ca_file", caFile)) }
        return settings
    }
}
