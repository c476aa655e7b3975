import HTTPTypes
import HummingbirdCore
import NIOCore

/// A response with all its headers but the length, to be sent by Hummingbird or as bytes.
struct RenderedResponse {
    var status: HTTPResponse.Status
    var headers: HTTPFields
    /// Nil where the status forbids a body (RFC 9110 §8.6).
    var body: [UInt8]?
    /// To be called where it does not reach the caller.
    var undelivered: (@Sendable () async -> Void)?

    var response: Response {
        guard let body else {
            var response = Response(status: status, headers: headers)
            response.headers[.contentLength] = nil
            return response
        }
        return Response(
            status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }

    /// The message as HTTP/1.1 has it (RFC 9112 §2.1), for a connection that stays open.
    var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
        for field in headers { buffer.writeString("\(field.name.rawName): \(field.value)\r\n") }
        if let body { buffer.writeString("Content-Length: \(body.count)\r\n") }
        buffer.writeString("\r\n")
        if let body { buffer.writeBytes(body) }
        return buffer
    }
}
