/// Which instance a read goes to: each in turn, as behind a load balancer that passes over what refused a connection a
/// moment ago and tries it again from time to time.
struct InstanceRotation: Sendable {
    /// How long an instance that was not there is passed over.
    static let pause = Duration.seconds(1)

    private var downUntil: [ContinuousClock.Instant?]

    init(count: Int) {
        downUntil = Array(repeating: nil, count: count)
    }

    mutating func markDown(_ index: Int, now: ContinuousClock.Instant) {
        downUntil[index] = now + Self.pause
    }

    /// All instances in the order in which a read tries them. Those that are down come last: better than failing.
    func order(for read: Int, now: ContinuousClock.Instant) -> [Int] {
        let turn = (0..<downUntil.count).map { (read + $0) % downUntil.count }
        func isDown(_ index: Int) -> Bool { downUntil[index].map { $0 > now } ?? false }
        return turn.filter { !isDown($0) } + turn.filter(isDown)
    }
}
