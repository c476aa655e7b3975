import NIOConcurrencyHelpers

/// Counts what went over the wire, by command name: hosted Redis bills by the command.
final class CommandCounter: Sendable {
    private let counts = NIOLockedValueBox<[String: Int]>([:])

    func add(_ names: some Sequence<String>) {
        counts.withLockedValue { counts in
            for name in names { counts[name, default: 0] += 1 }
        }
    }

    var snapshot: [String: Int] { counts.withLockedValue { $0 } }
}
