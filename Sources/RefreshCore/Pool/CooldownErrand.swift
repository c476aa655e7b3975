import NIOConcurrencyHelpers

/// Tells the store of cool-downs which it could not be told at once, until it has taken them: one task of this process.
final class CooldownErrand: Sendable {
    private let isUnderWay = NIOLockedValueBox(false)
    private let bell = Wakeup()

    private static let firstPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(30)

    /// The store may be back.
    func hurry() { if isUnderWay.withLockedValue({ $0 }) { bell.fire() } }

    /// - Parameters:
    ///   - isLeft: whether there is something to tell.
    ///   - tell: tells what there is; whether that has worked.
    func begin(
        time: any TimeSource, isLeft: @escaping @Sendable () -> Bool, tell: @escaping @Sendable () async -> Bool
    ) {
        let isFirst = isUnderWay.withLockedValue { isUnderWay in
            defer { isUnderWay = true }
            return !isUnderWay
        }
        guard isFirst else { return }
        Task {
            var pause = Self.firstPause
            while true {
                await bell.wait(until: time.monotonic() + pause, time: time)
                let isDone = await tell()
                pause = isDone ? Self.firstPause : min(pause * 2, Self.longestPause)
                // Whoever fails after this look begins another one.
                let isOver = isUnderWay.withLockedValue { isUnderWay in
                    isUnderWay = isLeft()
                    return !isUnderWay
                }
                if isOver { return }
            }
        }
    }
}
