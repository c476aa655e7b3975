import Logging
import NIOConcurrencyHelpers
import RefreshCore

/// The keys that are good right now. Looks at the key file at most once a second, so that a new key works and a
/// revoked one stops working without a restart.
public final class CallerKeys: Sendable {
    private struct State {
        var keys: [CallerKey]
        var stamp: DurableFile.Stamp?
        var checkedAt: MonotonicTime
    }

    static let pace: Duration = .seconds(1)
    /// Longer than any key text: what is longer is not worth a digest.
    static let maximumLength = 256

    private let file: CallerKeyFile?
    private let time: any TimeSource
    private let logger: Logger
    private let state: NIOLockedValueBox<State>

    /// - Throws: ``CallerKeyFileError`` when the file cannot be used at start.
    public init(file: CallerKeyFile, time: any TimeSource, logger: Logger) throws(CallerKeyFileError) {
        self.file = file
        self.time = time
        self.logger = logger
        // The stamp first: a change between the two is seen at the next look.
        let stamp = DurableFile.stamp(file.path)
        self.state = NIOLockedValueBox(State(keys: try file.load(), stamp: stamp, checkedAt: time.monotonic()))
    }

    /// The key with that text. Every key is compared, whether or not one has matched.
    func match(_ text: Substring) -> CallerKey? {
        guard text.utf8.count <= Self.maximumLength else { return nil }
        let digest = KeyDigest(of: text)
        let now = time.monotonic()
        return state.withLockedValue { state in
            if now - state.checkedAt >= Self.pace {
                state.checkedAt = now
                reload(&state)
            }
            var found: Int?
            for index in state.keys.indices where state.keys[index].digest == digest { found = index }
            return found.map { state.keys[$0] }
        }
    }

    /// How many keys there are.
    public var count: Int { state.withLockedValue { $0.keys.count } }

    private func reload(_ state: inout State) {
        guard let file else { return }
        let stamp = DurableFile.stamp(file.path)
        guard stamp != state.stamp else { return }
        state.stamp = stamp
        do {
            state.keys = try file.load()
            logger.notice("caller keys reloaded", metadata: ["keys": "\(state.keys.count)"])
        } catch  where error.code == .missing {
            // Whoever removes the file wants no key to work any more.
            state.keys = []
            logger.error("\(error); no caller key is good until it is there again")
        } catch {
            logger.error("\(error); the keys read before stay in force")
        }
    }
}
