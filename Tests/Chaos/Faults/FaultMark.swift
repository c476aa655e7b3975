import NIOConcurrencyHelpers

/// The number of a timeline entry that is made from within a call.
final class FaultMark: Sendable {
    private let box = NIOLockedValueBox<Int?>(nil)

    var value: Int? {
        get { box.withLockedValue { $0 } }
        set { box.withLockedValue { $0 = newValue } }
    }
}
