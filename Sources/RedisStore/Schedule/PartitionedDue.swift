import RefreshCore

/// One look at the schedule of many partitions: first where something is due, then taking it there, within limits that
/// hold for all partitions together.
///
/// A partition whose node is away is passed over, so that the others go on; the next look comes soon then.
struct PartitionedDue {
    typealias Take = @Sendable (_ partition: Int, _ limits: [ProviderName: Int]) async throws(StoreError) -> DueBatch

    /// Rounds of taking in one look. The first shares out the limits evenly; later ones use what other partitions left.
    private static let maxRounds = 3
    /// After how long to look again for what is in a partition that was away.
    private static let retryAfter = Duration.seconds(1)

    private let partitions: Int
    private var left: [ProviderName: Int]
    private var waits: [Int: Duration] = [:]
    private var taken: [DueAccount] = []
    private var failure: StoreError?
    private var anyAnswered = false

    init(partitions: Int, limits: [ProviderName: Int]) {
        self.partitions = partitions
        left = limits.mapValues { max(0, $0) }
    }

    /// - Throws: ``StoreError`` when no partition answers.
    mutating func run(_ take: @escaping Take) async throws(StoreError) -> DueBatch {
        let nothing = left.mapValues { _ in 0 }
        await round(Array(0..<partitions), take) { _ in nothing }
        if !anyAnswered, let failure { throw failure }
        for _ in 0..<Self.maxRounds {
            // In another order each time, or the first partitions would always come first.
            let due = waits.filter { $0.value <= .zero }.keys.shuffled()
            let shares = shares(among: due.count)
            let served = due.indices.filter { index in shares[index].values.contains { $0 > 0 } }
            guard !served.isEmpty else { break }
            let byPartition = Dictionary(uniqueKeysWithValues: served.map { (due[$0], shares[$0]) })
            await round(byPartition.keys.sorted(), take) { byPartition[$0] ?? nothing }
        }
        var next = waits.values.min()
        if failure != nil { next = min(next ?? Self.retryAfter, Self.retryAfter) }
        return DueBatch(due: taken, nextDueIn: next)
    }

    /// What is left of each limit, in equal parts; the rest of the division goes to the first.
    private func shares(among count: Int) -> [[ProviderName: Int]] {
        (0..<count).map { index in
            left.mapValues { $0 / count + (index < $0 % count ? 1 : 0) }
        }
    }

    private mutating func round(
        _ partitions: [Int], _ take: @escaping Take, limits: @escaping @Sendable (Int) -> [ProviderName: Int]
    ) async {
        let results = await Partitions.attemptEach(partitions) { partition throws(StoreError) -> DueBatch in
            try await take(partition, limits(partition))
        }
        for (partition, result) in zip(partitions, results) {
            switch result {
            case .success(let batch):
                anyAnswered = true
                taken += batch.due
                for account in batch.due { left[account.provider, default: 0] -= 1 }
                waits[partition] = batch.nextDueIn
            case .failure(let error):
                waits[partition] = nil
                failure = error
            }
        }
    }
}
