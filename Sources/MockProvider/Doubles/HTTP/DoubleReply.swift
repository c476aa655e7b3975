import HTTPTypes
import NIOCore

extension MockReply {
    static func json(_ status: HTTPResponse.Status, _ body: DoubleJSON) -> MockReply { json(status, body.buffer) }

    /// An error in the form of RFC 6749 §5.2.
    static func oauth(_ status: HTTPResponse.Status, _ code: String, _ description: String? = nil) -> MockReply {
        let body: DoubleJSON = ["error": .text(code)]
        return json(status, description.map { body.adding("error_description", .text($0)) } ?? body)
    }

    /// 401 to a client that used HTTP basic (RFC 6749 §5.2).
    func challenging(_ challenge: String) -> MockReply {
        var reply = self
        reply.headers[.wwwAuthenticate] = challenge
        return reply
    }
}
