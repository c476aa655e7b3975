/// The parts of an http or https URL that decide whether a secret may be sent there.
package struct EndpointURL {
    package let text: String
    package let scheme: String
    /// Without brackets and port, in lower case.
    package let host: String

    /// Why a URL is not acceptable. The URL itself is not repeated: it may hold a key.
    package struct Refusal: Error, CustomStringConvertible {
        package let description: String
    }

    package init(_ text: String) throws(Refusal) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Refusal(description: "holds a blank, a control or a non-ASCII character: percent-encode it")
        }
        guard let separator = text.firstRange(of: "://") else {
            throw Refusal(description: "is not an absolute URL: write https://HOST/PATH")
        }
        scheme = text[..<separator.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else {
            throw Refusal(description: "has to begin with https://")
        }
        let rest = text[separator.upperBound...]
        let authority = rest.prefix { !"/?#\\".contains($0) }
        guard !authority.contains("@") else {
            throw Refusal(description: "holds credentials: use client_id and client_secret instead")
        }
        guard !rest.contains("#") else { throw Refusal(description: "holds a fragment (#…)") }
        guard !rest.contains("\\") else { throw Refusal(description: "holds a backslash") }

        let port: Substring
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else {
                throw Refusal(description: "has an IPv6 address without its ]")
            }
            host = authority[..<end].dropFirst().lowercased()
            let after = authority[end...].dropFirst()
            guard after.isEmpty || after.first == ":" else {
                throw Refusal(description: "has something other than a port after its host")
            }
            port = after.dropFirst()
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = parts.first.map { $0.lowercased() } ?? ""
            port = parts.count == 2 ? parts[1] : ""
        }
        guard !host.isEmpty else { throw Refusal(description: "has no host") }
        guard port.isEmpty || (port.utf8.allSatisfy { (0x30...0x39).contains($0) } && (UInt16(port) ?? 0) > 0) else {
            throw Refusal(description: "has a port that is not a number from 1 to 65535")
        }
        self.text = text
    }

    /// A URL with placeholders behind its host.
    init(_ template: Template) throws(Refusal) {
        guard template.literal == nil else {
            try self.init(template.literal ?? "")
            return
        }
        let text = template.parts.map { part in
            if case .text(let text) = part { text } else { "0" }
        }.joined()
        try self.init(text)
        guard case .text(let start)? = template.parts.first, let scheme = start.firstRange(of: "://"),
            start[scheme.upperBound...].contains(where: { "/?".contains($0) })
        else {
            throw Refusal(description: "has a placeholder before or in its host: write the host out")
        }
    }

    /// Puts values into a URL; each is percent-encoded, and stays in its segment.
    ///
    /// - Throws: ``TemplateFailure`` when a value is missing, or would make the segment `.` or `..`, which removes others
    ///   (RFC 3986 §5.2.4).
    static func render(
        _ url: Template, _ render: (Template) throws(TemplateFailure) -> String
    ) throws(TemplateFailure) -> String {
        if let literal = url.literal { return literal }
        var result = ""
        for part in url.parts {
            switch part {
            case .text(let text): result += text
            case .value: result += HTTPText.percentEncoded(try render(Template(parts: [part])))
            }
        }
        let path = result.prefix { $0 != "?" }
        guard !path.split(separator: "/").contains(where: { $0 == "." || $0 == ".." }) else {
            throw TemplateFailure("the URL would have a segment . or .., which takes the request to another path")
        }
        return result
    }

    /// Whether what is sent there stays on this machine.
    package var isLoopback: Bool { Self.isLoopback(host: host) }

    /// Of a host in lower case, an IPv6 address without its brackets.
    package static func isLoopback(host: String) -> Bool {
        if host == "localhost" || host.hasSuffix(".localhost") || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// The URL with the values of its query, and texts that are quoted in its placeholders, left out.
    static func masked(_ url: String) -> String {
        let parts = (try? Template(url))?.parts ?? [.text(url)]
        let text = parts.map { part in
            switch part {
            case .text(let text): text
            case .value(let expression): "{{ \(expression.maskedSource) }}"
            }
        }.joined()
        guard let mark = text.firstIndex(of: "?") else { return text }
        let query = text[mark...].dropFirst().split(separator: "&").map { pair in
            "\(pair.prefix { $0 != "=" })=***"
        }
        return text[...mark] + query.joined(separator: "&")
    }
}
