/// How many commands a day this instance sends to the store, extrapolated from what it has sent since it began to count.
public struct CommandForecast: Sendable, Hashable {
    /// Less than this says nothing: a start is busier than a day.
    public static let shortest = Duration.seconds(600)
    private static let day = Duration.seconds(86_400)

    private let beganAt: MonotonicTime
    private let firstCount: Int

    /// - Parameter count: commands sent until now; those of the start are not extrapolated.
    public init(beganAt: MonotonicTime, count: Int) {
        self.beganAt = beganAt
        self.firstCount = count
    }

    /// From when on there is a forecast.
    public var readyAt: MonotonicTime { beganAt + Self.shortest }

    /// Commands a day; nil before ``readyAt``.
    public func perDay(count: Int, now: MonotonicTime) -> Int? {
        guard now >= readyAt else { return nil }
        return Int((Double(count - firstCount) * (Self.day / (now - beganAt))).rounded())
    }
}
