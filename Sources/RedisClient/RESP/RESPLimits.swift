/// How much of a reply is believed. A reply beyond a limit closes the connection with
/// ``RedisError/Code/protocolViolation``; it is never buffered or allocated first.
public struct RESPLimits: Sendable, Hashable {
    /// Longest bulk string, in bytes. 1…1 GiB, default 64 MiB.
    public var maxBulkBytes: Int
    /// Longest status, error or integer line, in bytes. 1…1 GiB, default 64 KiB.
    public var maxLineBytes: Int
    /// Most elements of one array. Default 1,000,000.
    public var maxArrayElements: Int
    /// Arrays inside arrays; 1 is a flat array. 1…7, default 7 (hiredis 0.14 reads no deeper).
    public var maxDepth: Int
    /// Memory of one whole reply, in bytes. Default 128 MiB.
    public var maxReplyBytes: Int

    public init(
        maxBulkBytes: Int = 64 << 20,
        maxLineBytes: Int = 64 << 10,
        maxArrayElements: Int = 1_000_000,
        maxDepth: Int = 7,
        maxReplyBytes: Int = 128 << 20
    ) {
        self.maxBulkBytes = maxBulkBytes
        self.maxLineBytes = maxLineBytes
        self.maxArrayElements = maxArrayElements
        self.maxDepth = maxDepth
        self.maxReplyBytes = maxReplyBytes
    }

    /// The limits with every value brought into its range: hiredis 0.14 counts some lengths in an `int`.
    var clamped: RESPLimits {
        let oneGiB = 1 << 30
        return RESPLimits(
            maxBulkBytes: min(max(maxBulkBytes, 1), oneGiB),
            maxLineBytes: min(max(maxLineBytes, 1), oneGiB),
            maxArrayElements: min(max(maxArrayElements, 0), Int(Int32.max)),
            maxDepth: min(max(maxDepth, 1), 7),
            maxReplyBytes: max(maxReplyBytes, 1 << 10)
        )
    }
}
