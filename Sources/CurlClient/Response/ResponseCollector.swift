/// Takes the bytes of a response as libcurl delivers them, within a cap, and keeps them together.
struct ResponseCollector {
    private(set) var body: [UInt8] = []
    /// The blank line after the headers of the final response was seen.
    private(set) var headersComplete = false
    private(set) var exceededCap = false
    /// Anything at all came back.
    var hasBegun: Bool { received > 0 }
    var headers: [(name: String, value: String)] { reader.head.headers }

    private let cap: Int
    private var received = 0
    private var reader = HeadReader()

    init(cap: Int) {
        self.cap = cap
    }

    /// One header line with its line end. False: abort.
    mutating func take(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        guard count(bytes.count) else { return false }
        if case .head(let head) = reader.take(line: bytes[...]) {
            headersComplete = head.status >= 200
        } else if reader.isInsideHead {
            headersComplete = false
        }
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
}
