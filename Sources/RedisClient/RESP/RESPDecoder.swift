import CHiredis

/// Turns received bytes into replies, by hiredis' reader. Belongs to one connection and its event loop.
final class RESPDecoder {
    private let decoder: OpaquePointer

    /// - Throws: ``RedisError/Code/configuration`` when there is no memory for a reader.
    init(limits: RESPLimits) throws(RedisError) {
        let limits = limits.clamped
        let decoder = chiredis_decoder_create(
            CHiredisLimits(
                max_bulk_bytes: limits.maxBulkBytes,
                max_line_bytes: limits.maxLineBytes,
                max_array_elements: limits.maxArrayElements,
                max_depth: limits.maxDepth,
                max_reply_bytes: limits.maxReplyBytes
            )
        )
        guard let decoder else {
            throw RedisError(.configuration, "There is no memory for a Redis reply reader.")
        }
        self.decoder = decoder
    }

    deinit {
        chiredis_decoder_free(decoder)
    }

    /// - Throws: ``RedisError/Code/protocolViolation``; the decoder stays failed.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisError) {
        guard chiredis_decoder_feed(decoder, bytes.baseAddress, bytes.count) == 0 else { throw violation() }
    }

    /// The next complete reply, or nil when more bytes are needed.
    ///
    /// - Throws: ``RedisError/Code/protocolViolation``; the decoder stays failed.
    func next() throws(RedisError) -> RESPValue? {
        var reply: OpaquePointer?
        switch chiredis_decoder_next(decoder, &reply) {
        case 0:
            return nil
        case 1:
            guard let reply else { return nil }
            defer { chiredis_reply_free(reply) }
            return Self.value(of: reply)
        default:
            throw violation()
        }
    }

    private func violation() -> RedisError {
        RedisError(
            .protocolViolation,
            """
            The peer broke the Redis protocol (\(String(cString: chiredis_decoder_error(decoder)))); the connection is \
            closed. Check that the address is a Redis server's.
            """
        )
    }

    /// Recursion is bounded by the depth limit that the reply has already passed.
    private static func value(of reply: OpaquePointer) -> RESPValue {
        switch chiredis_reply_kind(reply) {
        case CHIREDIS_STATUS: .simpleString(text(of: reply))
        case CHIREDIS_ERROR: .error(RedisServerError(line: text(of: reply)))
        case CHIREDIS_INTEGER: .integer(Int64(chiredis_reply_integer(reply)))
        case CHIREDIS_BULK: .bulkString(Array(bytes(of: reply)))
        case CHIREDIS_ARRAY:
            .array(
                (0..<chiredis_reply_count(reply)).map { index in
                    chiredis_reply_element(reply, index).map(value(of:)) ?? .null
                }
            )
        default: .null
        }
    }

    private static func bytes(of reply: OpaquePointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: chiredis_reply_bytes(reply), count: chiredis_reply_count(reply))
    }

    private static func text(of reply: OpaquePointer) -> String {
        String(decoding: bytes(of: reply), as: UTF8.self)
    }
}
