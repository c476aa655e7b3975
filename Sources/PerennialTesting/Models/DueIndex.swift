import RefreshCore

/// A sorted set of accounts by time: a heap with a dictionary beside it that says which of its entries still count.
public struct DueIndex: Sendable {
    private struct Entry: Sendable, Comparable {
        var at: WallTime
        var account: AccountID

        static func < (lhs: Entry, rhs: Entry) -> Bool { (lhs.at, lhs.account) < (rhs.at, rhs.account) }
    }

    private var times: [AccountID: WallTime] = [:]
    private var heap: [Entry] = []

    public init() {}

    public var count: Int { times.count }
    public var isEmpty: Bool { times.isEmpty }
    public var accounts: [AccountID: WallTime] { times }

    public subscript(account: AccountID) -> WallTime? {
        get { times[account] }
        set {
            guard times[account] != newValue else { return }
            times[account] = newValue
            if let newValue { push(Entry(at: newValue, account: account)) }
            if heap.count > 4 * times.count + 16 { rebuild() }
        }
    }

    /// The earliest account and its time.
    public mutating func first() -> (account: AccountID, at: WallTime)? {
        while let top = heap.first {
            if times[top.account] == top.at { return (top.account, top.at) }
            pop()
        }
        return nil
    }

    private mutating func rebuild() {
        // A sorted list is a heap.
        heap = times.map { Entry(at: $0.value, account: $0.key) }.sorted()
    }

    private mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0, heap[child] < heap[(child - 1) / 2] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func pop() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
