/// The little that has to be known about a URL before libcurl parses it.
enum URLText {
    struct Parts {
        /// In lower case.
        var scheme: String
        var authority: Substring
        /// Path, query and fragment.
        var rest: Substring
    }

    /// nil unless it is `SCHEME://AUTHORITY…` without blanks and control characters, with an authority.
    static func split(_ url: String) -> Parts? {
        let bytes = url.utf8
        guard bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let afterColon = bytes[colon...].dropFirst()
        guard afterColon.starts(with: "//".utf8) else { return nil }
        let start = afterColon.dropFirst(2).startIndex
        let end =
            bytes[start...].firstIndex { byte in
                byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
                    || byte == UInt8(ascii: "\\")
            } ?? bytes.endIndex
        guard start < end else { return nil }
        return Parts(scheme: url[..<colon].lowercased(), authority: url[start..<end], rest: url[end...])
    }

    /// Scheme, host and port: what may be said about a URL in errors and descriptions.
    static func origin(of url: String) -> String {
        guard let parts = split(url) else { return "(malformed URL)" }
        let host = parts.authority.utf8.lastIndex(of: UInt8(ascii: "@")).map { parts.authority[$0...].dropFirst() }
        return "\(parts.scheme)://\(host ?? parts.authority)"
    }
}
