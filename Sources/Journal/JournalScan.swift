import RefreshCore

/// What the bytes of a journal file say: the entries that live, in order, and what cannot be read.
struct JournalScan {
    /// Answers that were not released, oldest first, still sealed.
    private(set) var live: [(attempt: AttemptID, sealed: [UInt8], isStored: Bool)] = []
    /// Bytes that are no whole record.
    private(set) var damage: [Range<Int>] = []
    private let end: Int

    /// The damage at the end, which a write that was cut short leaves there.
    var tornTail: Range<Int>? {
        guard let last = damage.last, last.upperBound == end else { return nil }
        return last
    }

    init(_ bytes: [UInt8]) {
        end = bytes.count
        var sealed: [AttemptID: [UInt8]] = [:]
        var order: [AttemptID] = []
        var stored: Set<AttemptID> = []
        var offset = 0
        var damageStart: Int?
        while offset < bytes.count {
            guard damageStart == nil || JournalRecord.mayBegin(bytes, at: offset),
                let (record, next) = JournalRecord.read(bytes, at: offset)
            else {
                // The next whole record may begin anywhere.
                damageStart = damageStart ?? offset
                offset += 1
                continue
            }
            if let start = damageStart { damage.append(start..<offset) }
            damageStart = nil
            offset = next
            switch record {
            case .response(let attempt, let bytes):
                if sealed.updateValue(bytes, forKey: attempt) == nil { order.append(attempt) }
            case .released(let attempt): sealed[attempt] = nil
            case .stored(let attempt): stored.insert(attempt)
            case nil: break
            }
        }
        if let start = damageStart { damage.append(start..<bytes.count) }
        // An attempt that was released and written again stands twice in the order.
        for attempt in order {
            if let bytes = sealed.removeValue(forKey: attempt) {
                live.append((attempt, bytes, stored.contains(attempt)))
            }
        }
    }
}
