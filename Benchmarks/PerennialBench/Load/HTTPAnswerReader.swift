import NIOCore

/// Just enough of HTTP/1.1 for answers that say how long they are, one to a connection at a time.
///
/// Looks at bytes and makes no strings: a thousand answers arrive within milliseconds, and what reading one costs here
/// is added to the time of all that follow.
enum HTTPAnswerReader {
    private static let lengthName = Array("content-length:".utf8)

    /// Status and body once the answer is complete; status 0 for what is no HTTP/1.1.
    static func read(_ buffer: ByteBuffer) -> (status: Int, body: ByteBuffer)? {
        let found = buffer.withUnsafeReadableBytes { bytes -> (status: Int, head: Int, length: Int)? in
            var length = 0
            var line = 0
            for index in 1..<max(1, bytes.count) where bytes[index] == 0x0a && bytes[index - 1] == 0x0d {
                if index - line == 1 { return (status(bytes), index + 1, length) }
                if let value = lengthValue(bytes, from: line, to: index) { length = value }
                line = index + 1
            }
            return nil
        }
        guard let found, buffer.readableBytes >= found.head + found.length,
            let body = buffer.getSlice(at: buffer.readerIndex + found.head, length: found.length)
        else { return nil }
        return (found.status, body)
    }

    private static func status(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard bytes.count > 12 else { return 0 }
        return number(bytes[9..<12])
    }

    /// The value of the line if it is the Content-Length.
    private static func lengthValue(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int? {
        guard end - start > lengthName.count else { return nil }
        for (offset, expected) in lengthName.enumerated() where bytes[start + offset] | 0x20 != expected | 0x20 {
            return nil
        }
        return number(bytes[(start + lengthName.count)..<end])
    }

    private static func number(_ bytes: Slice<UnsafeRawBufferPointer>) -> Int {
        var number = 0
        for byte in bytes where (0x30...0x39).contains(byte) { number = (number &* 10) &+ Int(byte - 0x30) }
        return number
    }
}
