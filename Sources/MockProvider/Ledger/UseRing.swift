/// The latest uses, as compact records in a ring that grows to its capacity and no further.
struct UseRing: Sendable {
    struct Record: Sendable {
        var fingerprint: UInt64
        var at: Int64
        /// -1: unknown token.
        var family: Int32
        var outcome: Outcome
        var isDuplicateSpend: Bool
    }

    /// ``MockTokenUse/Outcome`` without its string, to stay small.
    enum Outcome: Sendable, Equatable {
        case rotated, graceReplay, reuse, refused, reusedAllowed
        case fault(index: UInt8)

        /// The place of a fault's name in ``MockFault/Kind/names``.
        static func fault(_ kind: MockFault.Kind) -> Outcome {
            .fault(index: UInt8(clamping: MockFault.Kind.names.firstIndex(of: kind.name) ?? 0))
        }

        var expanded: MockTokenUse.Outcome {
            switch self {
            case .rotated: .rotated
            case .graceReplay: .graceReplay
            case .reuse: .reuse
            case .refused: .refused
            case .reusedAllowed: .reusedAllowed
            case .fault(let index): .fault(MockFault.Kind.names[Int(index)])
            }
        }
    }

    private let capacity: Int
    private var records: [Record] = []
    /// How many records were ever appended.
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    mutating func append(_ record: Record) {
        if records.count < capacity {
            records.append(record)
        } else {
            records[count % capacity] = record
        }
        count += 1
    }

    /// Calls `body` with sequence number and record, oldest first, for those with a sequence above `after`.
    func forEach(after: Int, limit: Int, _ body: (Int, Record) -> Void) {
        let oldest = count - records.count
        let first = max(oldest, min(max(after, 0), count))
        let last = first + min(count - first, max(limit, 0))
        for position in first..<last {
            body(position + 1, records[position % capacity])
        }
    }
}
