/// What came of one try to deliver an event.
public enum DeliveryResult: Sendable, Hashable {
    case delivered
    /// Did not work now: no connection, a timeout, an error of the server, too many requests. Tried again.
    case failed(String, retryAfter: Duration? = nil)
    /// The receiver has understood the request and will not take it: given up after a few tries.
    case rejected(String)
    /// The receiver wants nothing any more (HTTP 410): the endpoint is switched off.
    case gone
}
