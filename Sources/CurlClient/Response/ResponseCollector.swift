/// Takes the bytes of a response as libcurl delivers them, within a cap.
///
/// The callbacks of a transfer know only this much of where the bytes go, so that a consumer with back-pressure can
/// take its place.
struct ResponseCollector {
    private(set) var headers: [(name: String, value: String)] = []
    private(set) var body: [UInt8] = []
    /// The blank line after the headers of the final response was seen.
    private(set) var headersComplete = false
    private(set) var exceededCap = false
    /// Anything at all came back.
    var hasBegun: Bool { received > 0 }

    private let cap: Int
    private var received = 0
    private var insideHeaders = false
    private var status = 0

    init(cap: Int) {
        self.cap = cap
    }

    /// One header line with its line end. False: abort.
    mutating func take(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        guard count(bytes.count) else { return false }
        var line = bytes[...]
        while let last = line.last, last == 0x0A || last == 0x0D { line = line.dropLast() }

        if !insideHeaders {
            // Either a status line begins a response (a new one after 1xx or a redirect), or these are trailers, which
            // must not be mixed with headers (RFC 9110 §6.5.1).
            guard line.starts(with: "HTTP/".utf8) else { return true }
            headers.removeAll(keepingCapacity: true)
            headersComplete = false
            insideHeaders = true
            status = Self.status(ofLine: line)
            return true
        }
        if line.isEmpty {
            insideHeaders = false
            headersComplete = status >= 200
            return true
        }
        if let first = line.first, Self.isBlank(first), let last = headers.indices.last {
            // Obsolete line folding: replaced by a blank (RFC 9112 §5.2).
            headers[last].value += " " + Self.text(line)
            return true
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return true }
        headers.append((name: Self.text(line[..<colon]), value: Self.text(line[colon...].dropFirst())))
        return true
    }

    /// False: abort.
    mutating func take(body bytes: UnsafeRawBufferPointer) -> Bool {
        guard count(bytes.count) else { return false }
        body.append(contentsOf: bytes)
        return true
    }

    private mutating func count(_ bytes: Int) -> Bool {
        received += bytes
        if received > cap { exceededCap = true }
        return !exceededCap
    }

    private static func status(ofLine line: Slice<UnsafeRawBufferPointer>) -> Int {
        let digits = line.drop { !isBlank($0) }.drop(while: isBlank).prefix(3)
        return Int(String(decoding: digits, as: UTF8.self)) ?? 0
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        var trimmed = bytes.drop(while: isBlank)
        while let last = trimmed.last, isBlank(last) { trimmed = trimmed.dropLast() }
        return String(decoding: trimmed, as: UTF8.self)
    }
}
