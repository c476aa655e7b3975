/// Reads the header lines that libcurl hands over: heads, one after the other, and trailers.
struct HeadReader {
    enum Step {
        case more
        /// The blank line after a head was seen. Another head follows after 1xx, or a redirect.
        case head(CurlResponseHead)
    }

    private(set) var head = CurlResponseHead(status: 0)
    private(set) var trailers: [(name: String, value: String)] = []
    private(set) var isInsideHead = false
    /// The final head is through, and no redirect is followed.
    var expectsTrailersOnly = false

    /// One line, with or without its line end.
    mutating func take(line bytes: Slice<UnsafeRawBufferPointer>) -> Step {
        var line = bytes
        while let last = line.last, last == 0x0A || last == 0x0D { line = line.dropLast() }

        if !isInsideHead, !expectsTrailersOnly, line.starts(with: "HTTP/".utf8) {
            head = Self.statusLine(line)
            trailers = []
            isInsideHead = true
            return .more
        }
        if line.isEmpty {
            guard isInsideHead else { return .more }
            isInsideHead = false
            return .head(head)
        }
        if isInsideHead {
            Self.take(line, &head.headers)
        } else {
            // Trailers must not be mixed with headers (RFC 9110 §6.5.1).
            Self.take(line, &trailers)
        }
        return .more
    }

    private static func take(
        _ line: Slice<UnsafeRawBufferPointer>, _ fields: inout [(name: String, value: String)]
    ) {
        if let first = line.first, isBlank(first), let last = fields.indices.last {
            // Obsolete line folding: replaced by a blank (RFC 9112 §5.2).
            fields[last].value += " " + text(line)
            return
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return }
        fields.append((name: text(line[..<colon]), value: text(line[colon...].dropFirst())))
    }

    /// `HTTP/1.1 404 Not Found` (RFC 9112 §4).
    private static func statusLine(_ line: Slice<UnsafeRawBufferPointer>) -> CurlResponseHead {
        let version = line.prefix { !isBlank($0) }
        let rest = line[version.endIndex...].drop(while: isBlank)
        let digits = rest.prefix(3)
        return CurlResponseHead(
            status: Int(String(decoding: digits, as: UTF8.self)) ?? 0, reason: text(rest[digits.endIndex...]),
            httpVersion: self.version(version))
    }

    private static func version(_ text: Slice<UnsafeRawBufferPointer>) -> CurlHTTPVersion {
        if text.elementsEqual("HTTP/1.1".utf8) { return .http11 }
        if text.elementsEqual("HTTP/1.0".utf8) { return .http10 }
        if text.starts(with: "HTTP/2".utf8) { return .http2 }
        return text.starts(with: "HTTP/3".utf8) ? .http3 : .unknown
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Without the blanks around it; CR and NUL within it become blanks, which would end it elsewhere (RFC 9110 §5.5).
    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        var trimmed = bytes.drop(while: isBlank)
        while let last = trimmed.last, isBlank(last) { trimmed = trimmed.dropLast() }
        guard trimmed.contains(where: { $0 == 0x0D || $0 == 0 }) else {
            return String(decoding: trimmed, as: UTF8.self)
        }
        return String(decoding: trimmed.map { $0 == 0x0D || $0 == 0 ? 0x20 : $0 }, as: UTF8.self)
    }
}
