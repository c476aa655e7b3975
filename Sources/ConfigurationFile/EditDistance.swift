/// How far apart two words are in insertions, deletions, replacements and swaps of neighbours.
public enum EditDistance {
    /// The candidate that `word` was probably meant to be, or nil when none is near.
    public static func nearest(to word: String, among candidates: [String]) -> String? {
        guard word.utf8.count <= 100 else { return nil }
        let folded = word.lowercased().replacing("-", with: "_")
        return
            candidates
            .map { (candidate: $0, distance: between(folded, $0)) }
            .filter { $0.distance <= max(1, max(folded.utf8.count, $0.candidate.utf8.count) / 3) }
            .min { $0.distance < $1.distance }?
            .candidate
    }

    /// The optimal string alignment distance, in bytes.
    static func between(_ one: String, _ other: String) -> Int {
        let (a, b) = (Array(one.utf8), Array(other.utf8))
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
                row.append(best)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
