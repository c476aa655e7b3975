/// What has to be known about an endpoint's URL. It is a secret as a whole: chat services put their tokens into the path.
enum WebhookURL {
    /// Scheme and host: all that may be shown.
    static func masked(_ url: String) -> String {
        guard let separator = url.firstRange(of: "://") else { return "set" }
        let host = authority(url[separator.upperBound...]).split(separator: "@").last ?? ""
        let path = url[separator.upperBound...].dropFirst(authority(url[separator.upperBound...]).count)
        return url[..<separator.upperBound] + host + (path.isEmpty || path == "/" ? "" : "/***")
    }

    /// Why a URL cannot be used, and what to write; nil when it can. Does not repeat the URL.
    static func reasonAgainst(_ url: String, allowInsecure: Bool) -> String? {
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return "holds a blank, a control or a non-ASCII character: percent-encode it"
        }
        guard let separator = url.firstRange(of: "://") else {
            return "is not an absolute URL: write https://HOST/PATH"
        }
        let scheme = url[..<separator.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { return "has to begin with https://" }
        let authority = authority(url[separator.upperBound...])
        guard !authority.contains("@") else { return "holds credentials: write them as a header, under headers" }
        guard !url.contains("#") else { return "holds a fragment (#…): leave it out" }
        guard let host = host(authority), !host.isEmpty else { return "has no valid host: write https://HOST/PATH" }
        if scheme == "http", !allowInsecure, !isLoopback(host) {
            return "would be sent in the clear: write https://, or set allow_insecure_http: true"
        }
        return nil
    }

    private static func authority(_ rest: Substring) -> Substring { rest.prefix { !"/?#\\".contains($0) } }

    /// Without brackets and port; nil where the port is none.
    private static func host(_ authority: Substring) -> String? {
        var (host, port) = (authority, Substring())
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[..<end].dropFirst()
            let after = authority[end...].dropFirst()
            guard after.isEmpty || after.first == ":" else { return nil }
            port = after.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            port = authority[colon...].dropFirst()
        }
        guard port.isEmpty || (UInt16(port) ?? 0) > 0 else { return nil }
        return host.lowercased()
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host.hasSuffix(".localhost") || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
