import RedisClient
import RefreshCore

/// What a script answered, and when it was asked: a reply can lie in its socket for as long as the process is stopped,
/// and the server's time in it is as old as that.
struct ScriptReply: Sendable {
    let fields: [RESPValue]
    /// On the clock of ``RedisLink/clock``, before the script was sent.
    let sentAt: MonotonicTime

    var count: Int { fields.count }
    subscript(index: Int) -> RESPValue { fields[index] }
}
