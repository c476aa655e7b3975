import NIOConcurrencyHelpers

/// What was done to whom and when, so that a loss can be traced to its cause. Times are those of ``Wall``.
final class Timeline: Sendable {
    struct Entry: Sendable {
        var kind: FaultKind
        /// What was hit, in words: `instance 2`, `redis`, `provider strict`.
        var target: String
        /// The instance that was hit; nil where all are concerned.
        var instance: Int?
        var from: Int64
        /// Nil while it lasts.
        var to: Int64?
    }

    private let box = NIOLockedValueBox<[Entry]>([])

    var entries: [Entry] { box.withLockedValue { $0 } }

    /// - Returns: what ``end(_:)`` wants.
    func begin(_ kind: FaultKind, target: String, instance: Int? = nil) -> Int {
        box.withLockedValue { entries in
            entries.append(Entry(kind: kind, target: target, instance: instance, from: Wall.now(), to: nil))
            return entries.count - 1
        }
    }

    func end(_ number: Int) {
        box.withLockedValue { $0[number].to = Wall.now() }
    }
}

extension [Timeline.Entry] {
    /// Those that were going on at some moment of the interval, for an instance or for all.
    func touching(_ kinds: Set<FaultKind>, instance: Int?, from: Int64, to: Int64) -> [Timeline.Entry] {
        filter {
            kinds.contains($0.kind) && ($0.instance == nil || instance == nil || $0.instance == instance)
                && $0.from <= to && ($0.to ?? .max) >= from
        }
    }
}
