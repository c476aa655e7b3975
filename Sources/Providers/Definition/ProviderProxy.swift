import ConfigurationFile
import JSONText
public import RefreshCore

/// `proxy` of a provider: how requests that concern its accounts leave, unless an account says otherwise.
public struct ProviderProxy: Sendable, Hashable {
    public var setting: ProxySetting?
    /// PEM file with the authorities to trust for `https://` proxies, those of single accounts too, instead of the system's.
    public var caFile: String?

    public init(setting: ProxySetting? = nil, caFile: String? = nil) {
        self.setting = setting
        self.caFile = caFile
    }

    /// Reads `proxy: URL` (with or without credentials), or `proxy: { url, username, password, password_file, ca_file }`.
    ///
    /// - Returns: nil where it is absent, or after reporting at least one issue.
    static func read(_ section: ConfigurationSection) -> ProviderProxy? {
        guard section.contains("proxy") else { return nil }
        if section.isSection("proxy") { return section.section("proxy") { read(mapping: $0) } ?? nil }
        guard let text = section.string("proxy", secret: true) else { return nil }
        return setting(text, section, "proxy", username: nil, password: nil).map { ProviderProxy(setting: $0) }
    }

    private static func read(mapping section: ConfigurationSection) -> ProviderProxy? {
        let url = section.string("url", secret: true)
        let username = section.string("username", secret: true).map { Secret($0) }
        let inline = section.string("password", secret: true).map { Secret($0) }
        let file = section.string("password_file")
        var proxy = ProviderProxy(caFile: section.string("ca_file"))
        guard inline == nil || file == nil else {
            section.report(.contradiction, "password_file", "give either password or password_file, not both")
            return nil
        }
        var password = inline
        if let file {
            do {
                password = Secret(try BoundedFile.readSecret(file))
            } catch {
                section.report(.unreadable, "password_file", error.description)
                return nil
            }
        }
        guard let url else {
            if !section.contains("url"), proxy.caFile == nil || username != nil || password != nil {
                section.report(.missing, "needs url: write { url: \"http://HOST:PORT\" }")
            }
            return section.contains("url") || proxy.caFile == nil ? nil : proxy
        }
        guard let setting = setting(url, section, "url", username: username, password: password) else { return nil }
        proxy.setting = setting
        return proxy
    }

    private static func setting(
        _ text: String, _ section: ConfigurationSection, _ key: String, username: Secret?, password: Secret?
    ) -> ProxySetting? {
        do {
            if text == "direct", username == nil, password == nil { return .direct }
            return .server(try ProxyServer(text, username: username, password: password))
        } catch {
            section.report(.invalidValue, key, "cannot be used: \(error.description)")
            return nil
        }
    }

    /// As it could stand in the configuration, credentials as `***`.
    var shown: JSONValue {
        var members: [JSONValue.Member] = []
        if let setting { members.append(.init(name: "url", value: .string(setting.url))) }
        if setting?.hasCredentials == true {
            members += ["username", "password"].map { .init(name: $0, value: .string("***")) }
        }
        if let caFile { members.append(.init(name: "ca_file", value: .string(caFile))) }
        return .object(members)
    }
}
