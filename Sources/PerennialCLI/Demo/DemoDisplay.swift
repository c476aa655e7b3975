import NIOConcurrencyHelpers

/// Shows on standard error how a demo goes: redrawn in place on a terminal, a line from time to time elsewhere.
final class DemoDisplay: Sendable {
    private struct State {
        /// Lines on the screen that the next drawing replaces.
        var drawn = 0
        var lastLineAt: ContinuousClock.Instant?
    }

    /// Between drawings, and between lines where nothing can be redrawn.
    static let frame = Duration.milliseconds(250)
    static let beat = Duration.seconds(5)

    private let isLive: Bool
    private let hasColour: Bool
    private let state = NIOLockedValueBox(State())

    init(isLive: Bool, hasColour: Bool) {
        self.isLive = isLive
        self.hasColour = hasColour
    }

    /// Something that stays on the screen: a step of the preparations, or an event.
    func say(_ line: String) {
        state.withLockedValue { state in
            erase(&state)
            Terminal.standardError(line)
        }
    }

    /// Something worth a line of its own only where the live display does not show it.
    func mention(_ line: String) {
        if !isLive { say(line) }
    }

    func show(_ scene: @autoclosure () -> DemoScene) {
        state.withLockedValue { state in
            if isLive {
                let lines = DemoScreen.lines(scene(), width: Console.width(2), hasColour: hasColour)
                // One write: half a screen would flicker. The cursor is hidden while it moves.
                var text = "\u{1B}[?25l"
                if state.drawn > 0 { text += "\u{1B}[\(state.drawn)A" }
                for line in lines { text += "\r\u{1B}[2K\(line)\n" }
                text += "\u{1B}[?25h"
                Terminal.write(Array(text.utf8), to: 2)
                state.drawn = lines.count
            } else {
                let now = ContinuousClock.now
                if let last = state.lastLineAt, now - last < Self.beat { return }
                state.lastLineAt = now
                Terminal.standardError(DemoScreen.summary(scene()))
            }
        }
    }

    /// Leaves what is drawn on the screen; what is said next goes below it.
    func settle() {
        state.withLockedValue { $0.drawn = 0 }
    }

    private func erase(_ state: inout State) {
        guard state.drawn > 0 else { return }
        Terminal.write(Array("\u{1B}[\(state.drawn)A\u{1B}[J".utf8), to: 2)
        state.drawn = 0
    }
}
