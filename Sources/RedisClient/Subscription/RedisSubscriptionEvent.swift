/// What a subscriber is told. Between `subscribed` and the next `disconnected` no message of that channel is missing;
/// pub/sub keeps nothing for those who were away.
public enum RedisSubscriptionEvent: Sendable, Hashable {
    /// The server has confirmed the subscription, at first and again after each loss. Whatever was remembered from
    /// before may be stale now.
    case subscribed(channel: String)
    case message(channel: String, payload: [UInt8])
    /// Messages may be lost from here on, until `subscribed` comes again. The connection broke, or this subscriber
    /// read too slowly and its buffer was full.
    case disconnected
}
