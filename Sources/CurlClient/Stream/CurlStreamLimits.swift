/// What a streamed exchange is held to, beside ``CurlRequest/connectTimeout``, ``CurlRequest/sendBy`` and
/// ``CurlRequest/maxResponseBytes``, which here bounds all heads and trailers together.
///
/// Every wait for the other side is bounded; what this side does not read, or has yet to write, does not count
/// against the server.
public struct CurlStreamLimits: Sendable, Equatable {
    /// The longest wait for the final response's head, counted anew from every byte of the request that leaves. Informational
    /// responses do not prolong it. Default 120 s.
    public var head: Duration

    /// For everything up to the final response's head, counted from the call, whatever goes on meanwhile; nil = no limit
    /// (default).
    public var opening: Duration?

    /// The longest silence within the response's body, and the longest wait for more of an upload, during which libcurl
    /// does not notice that a server has closed its connection. Time in which the response waits here unread does not
    /// count. Default 300 s.
    public var idle: Duration

    /// For everything, counted from the call; nil = no limit (default).
    public var total: Duration?

    /// How many bytes of the response's body may wait here unread before the server is held up. Default 256 KiB;
    /// up to 64 KiB more may be on their way.
    public var window: Int

    public init(
        head: Duration = .seconds(120), opening: Duration? = nil, idle: Duration = .seconds(300),
        total: Duration? = nil, window: Int = 256 << 10
    ) {
        self.head = head
        self.opening = opening
        self.idle = idle
        self.total = total
        self.window = window
    }
}
