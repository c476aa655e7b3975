import HTTPTypes
import NIOCore

/// An HTTP answer before it is sent, with how it is to be sent.
struct MockReply: Sendable {
    var status: HTTPResponse.Status
    var headers: HTTPFields
    var body: ByteBuffer
    var delivery: MockTokenAnswer.Delivery = .complete
    var hold: Duration = .zero
    /// Instead of `body`.
    var stream: MockStream?

    init(_ status: HTTPResponse.Status, headers: HTTPFields, body: ByteBuffer = ByteBuffer()) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A JSON answer that no cache keeps (RFC 6749 §5.1).
    static func json(_ status: HTTPResponse.Status, _ body: ByteBuffer) -> MockReply {
        MockReply(status, headers: jsonHeaders, body: body)
    }

    /// An error of anything but the token endpoint: `{"error": code, "error_description": text}` all the same, so that
    /// one parser does for all.
    static func error(_ status: HTTPResponse.Status, _ code: String, _ description: String) -> MockReply {
        var body = ByteBuffer()
        body.writeJSON(error: code, description: description)
        return json(status, body)
    }

    static let jsonHeaders: HTTPFields = [
        .contentType: "application/json", .cacheControl: "no-store", .pragma: "no-cache",
    ]
    static let htmlHeaders: HTTPFields = [.contentType: "text/html; charset=utf-8", .cacheControl: "no-store"]
    static let linesHeaders: HTTPFields = [.contentType: "application/jsonl", .cacheControl: "no-store"]
}

extension HTTPField.Name {
    /// For HTTP/1.0 caches; RFC 6749 §5.1 asks for it.
    static var pragma: HTTPField.Name { .init("Pragma") ?? .cacheControl }
}
