import Gateway
import NIOCore

/// Writes an answer of the gateway as HTTP/1.1 has it (RFC 9112): by itself, because NIO's encoder decides about framing
/// where here only the upstream knows. The headers never say where the body ends; this does.
struct AnswerEncoder {
    /// Of an answer in chunks to a client of HTTP/1.0, whose end is that of the connection.
    private(set) var endsWithConnection = false
    private var isChunked = false

    mutating func head(
        _ head: GatewayAnswerHead, framing: AnswerFraming, isHTTP10: Bool, closes: Bool, into buffer: inout ByteBuffer
    ) {
        isChunked = framing == .chunked && !isHTTP10
        endsWithConnection = framing == .chunked && isHTTP10
        Self.start(head, into: &buffer)
        if case .length(let length) = framing {
            buffer.writeStaticString("Content-Length: ")
            buffer.writeString(String(length))
            buffer.writeStaticString("\r\n")
        }
        if isChunked { buffer.writeStaticString("Transfer-Encoding: chunked\r\n") }
        if closes || endsWithConnection { buffer.writeStaticString("Connection: close\r\n") }
        buffer.writeStaticString("\r\n")
    }

    /// A 1xx head.
    static func informational(_ head: GatewayAnswerHead, into buffer: inout ByteBuffer) {
        start(head, into: &buffer)
        buffer.writeStaticString("\r\n")
    }

    func body(_ bytes: [UInt8], into buffer: inout ByteBuffer) {
        guard !bytes.isEmpty else { return }
        if isChunked {
            buffer.writeString(String(bytes.count, radix: 16))
            buffer.writeStaticString("\r\n")
        }
        buffer.writeBytes(bytes)
        if isChunked { buffer.writeStaticString("\r\n") }
    }

    func end(trailers: [HeaderField], into buffer: inout ByteBuffer) {
        guard isChunked else { return }
        buffer.writeStaticString("0\r\n")
        for field in trailers { Self.write(field, into: &buffer) }
        buffer.writeStaticString("\r\n")
    }

    private static func start(_ head: GatewayAnswerHead, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeString(String(head.status))
        buffer.writeStaticString(" ")
        if isText(head.reason) { buffer.writeString(head.reason) }
        buffer.writeStaticString("\r\n")
        for field in head.headers { write(field, into: &buffer) }
    }

    /// What is no header, whoever sent it, is left out: it could end this one and begin another.
    private static func write(_ field: HeaderField, into buffer: inout ByteBuffer) {
        guard isToken(field.name), isText(field.value) else { return }
        buffer.writeString(field.name)
        buffer.writeStaticString(": ")
        buffer.writeString(field.value)
        buffer.writeStaticString("\r\n")
    }

    private static func isText(_ text: String) -> Bool {
        text.utf8.allSatisfy { ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }
    }

    /// RFC 9110 §5.6.2.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"): true
                case 0...0x20, 0x7F...: false
                default: punctuation.contains(byte)
                }
            }
    }

    private static let punctuation = Array("!#$%&'*+.^_`|~".utf8)
}
