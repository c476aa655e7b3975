/// What a double is told to do with the next requests of an account instead of serving them.
public enum DoubleOrder: Sendable, Hashable {
    /// One of the answers that the provider is known to give; see ``DoubleConfiguration/faults``. Nothing is spent.
    case fault(String)
    /// 429 in the provider's own form. Nothing is spent.
    case throttle(RetryAfter)
    /// Served, but the answer has no refresh token and the old one stays good.
    case omitRefreshToken
    case hostile(HostileAnswer)

    /// RFC 9110 §10.2.3.
    public enum RetryAfter: Sendable, Hashable {
        case seconds(Int64)
        /// A date this many seconds from the answer's own.
        case date(inSeconds: Int64)
    }

    /// As it stands in the ledger.
    var name: String {
        switch self {
        case .fault(let name): name
        case .throttle(.seconds): "throttle"
        case .throttle(.date): "throttle until a date"
        case .omitRefreshToken: "omit the refresh token"
        case .hostile(let answer): "hostile: \(answer.rawValue)"
        }
    }
}

/// An order and how many requests it is for.
struct DoubleScript: Sendable {
    private var steps: [(order: DoubleOrder, left: Int)] = []

    /// - Parameter times: `Int.max` for all that come.
    mutating func append(_ order: DoubleOrder, times: Int) {
        guard times > 0 else { return }
        steps.append((order, times))
    }

    mutating func clear() { steps = [] }

    /// Takes the order for one request; nil: it is served as ever.
    mutating func next() -> DoubleOrder? {
        guard let first = steps.first else { return nil }
        if first.left != .max { steps[0].left -= 1 }
        if steps[0].left == 0 { steps.removeFirst() }
        return first.order
    }
}
