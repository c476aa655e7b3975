/// Medians and percentiles of a few or of many samples.
struct Samples: Sendable {
    private let sorted: [Double]

    init(_ samples: [Double]) {
        sorted = samples.sorted()
    }

    var count: Int { sorted.count }
    var largest: Double { sorted.last ?? 0 }
    var smallest: Double { sorted.first ?? 0 }
    var median: Double {
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    /// Nearest rank: the smallest sample that at least the given part of all samples do not exceed.
    ///
    /// - Parameter part: 0…1.
    func percentile(_ part: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((part * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }
}
