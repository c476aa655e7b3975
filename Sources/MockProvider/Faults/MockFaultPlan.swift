/// The faults in force, in order, and the seeded chance that decides between them.
struct MockFaultPlan: Sendable {
    private(set) var faults: [MockFault]
    private var generator: SeededGenerator

    init(faults: [MockFault], seed: UInt64) {
        self.faults = faults
        self.generator = SeededGenerator(seed: seed)
    }

    /// Replaces the faults; the course of chance goes on.
    mutating func replace(with faults: [MockFault]) {
        self.faults = faults
    }

    /// The index of the first fault that this request meets, if any. A counted fault is only used up by ``spend(_:)``,
    /// so that it is not lost on a request where it could not strike.
    mutating func pick(account: @autoclosure () -> String?) -> Int? {
        // The usual case: no faults, no work.
        guard !faults.isEmpty else { return nil }
        let account = account()
        for index in faults.indices {
            let fault = faults[index]
            if let only = fault.account, only != account { continue }
            switch fault.frequency {
            case .next(let left): if left > 0 { return index }
            case .probability(let probability): if generator.nextUnit() < probability { return index }
            }
        }
        return nil
    }

    /// Records that the fault at `index` has struck.
    mutating func spend(_ index: Int) {
        guard case .next(let left) = faults[index].frequency else { return }
        faults[index].frequency = .next(left - 1)
    }

    /// A random duration in milliseconds, uniform between zero and `limit`.
    mutating func jitter(upTo limit: Int64) -> Int64 {
        guard limit > 0 else { return 0 }
        return Int64(generator.nextUnit() * Double(limit + 1))
    }
}
