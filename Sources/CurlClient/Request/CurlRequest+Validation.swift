extension CurlRequest {
    /// Refuses what libcurl would cut short, reinterpret or pass on as an injection.
    func validate() throws(CurlError) {
        try validateURL()
        try validateMethod()
        for header in headers { try Self.validate(header) }
        if tls.caFile?.utf8.contains(0) == true {
            throw CurlError(code: .tls, unsent: true, message: "The name of the CA file contains a NUL.")
        }
    }

    private func validateURL() throws(CurlError) {
        guard let parts = URLText.split(url), parts.scheme == "https" || parts.scheme == "http" else {
            throw CurlError(
                code: .malformedURL, unsent: true,
                message: "The URL has to be absolute, begin with https:// or http://, and hold no blanks.")
        }
        guard !parts.authority.utf8.contains(UInt8(ascii: "@")) else {
            throw CurlError(
                code: .malformedURL, unsent: true,
                message: "The URL must not hold credentials; send an Authorization header instead.")
        }
    }

    private func validateMethod() throws(CurlError) {
        guard Self.isToken(method), method != "CONNECT" else {
            throw CurlError(
                code: .invalidRequest, unsent: true, message: "The method has to be an HTTP token, and not CONNECT.")
        }
        if method == "HEAD", body != nil {
            throw CurlError(code: .invalidRequest, unsent: true, message: "A HEAD request cannot carry a body.")
        }
    }

    private static func validate(_ header: (name: String, value: String)) throws(CurlError) {
        guard isToken(header.name) else {
            // The name is not repeated: whatever it is, it is not a name, and may be a value in the wrong place.
            throw CurlError(code: .invalidHeader, unsent: true, message: "A header name is not an HTTP token.")
        }
        guard header.value.utf8.allSatisfy({ $0 != 0x0D && $0 != 0x0A && $0 != 0 }) else {
            throw CurlError(
                code: .invalidHeader, unsent: true,
                message: "The value of the header \(header.name) contains CR, LF or NUL.")
        }
        if ["content-length", "transfer-encoding", "expect"].contains(header.name.lowercased()) {
            throw CurlError(
                code: .invalidHeader, unsent: true,
                message: "The header \(header.name) is made by the client; leave it out.")
        }
    }

    /// RFC 9110 §5.6.2.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: tokenPunctuation.contains(byte)
                }
            }
    }

    private static let tokenPunctuation = Array("!#$%&'*+-.^_`|~".utf8)
}
