/// What a head says about where its body ends, as far as others who read it must not understand something else.
enum ResponseFraming {
    /// RFC 9112 §6.3: a `Content-Length` beside a `Transfer-Encoding` does not count and is taken out; several that differ,
    /// or one that is no number, make the response unusable: nil.
    static func checked(_ head: CurlResponseHead) -> CurlResponseHead? {
        var lengths = 0
        var length: String?
        var isCoded = false
        for header in head.headers {
            if HeaderName.same(header.name, "content-length") {
                guard isNumber(header.value), length == nil || length == header.value else { return nil }
                length = header.value
                lengths += 1
            } else if HeaderName.same(header.name, "transfer-encoding") {
                isCoded = true
            }
        }
        guard isCoded ? lengths > 0 : lengths > 1 else { return head }
        var checked = head
        var keeps = !isCoded
        checked.headers.removeAll { header in
            guard HeaderName.same(header.name, "content-length") else { return false }
            defer { keeps = false }
            return !keeps
        }
        return checked
    }

    private static func isNumber(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 18 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}
