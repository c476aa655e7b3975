import ConfigurationFile

/// What there is to see at one moment of a running demo.
struct DemoScene: Sendable, Equatable {
    struct Instance: Sendable, Equatable {
        enum State: Sendable, Equatable {
            case leader, follower, killed
            case ended(String)
        }

        var number: Int
        var pid: Int32
        var address: String
        var state: State
        var refreshes: Int
    }

    var elapsed: Duration
    var duration: Duration
    var instances: [Instance]
    /// Earliest expiry first; seconds left.
    var earliest: [(account: String, secondsLeft: Double, generation: Int64)]
    var accounts: Int
    var served: Int
    var readsPerSecond: Double
    var waited: Int
    var failed: Int
    var expired: Int
    var rerouted: Int
    var refreshes: Int
    var duplicateSpends: Int
    var familiesRevoked: Int
    /// What happened last, for people.
    var event: String

    static func == (one: DemoScene, other: DemoScene) -> Bool {
        one.elapsed == other.elapsed && one.instances == other.instances && one.served == other.served
            && one.refreshes == other.refreshes && one.event == other.event
            && one.earliest.elementsEqual(other.earliest) { $0 == $1 }
    }
}

/// The layout of the live display.
enum DemoScreen {
    static func lines(_ scene: DemoScene, width: Int, hasColour: Bool) -> [String] {
        var lines = [header(scene, width: width), PaintedLine()]
        lines += scene.instances.map(line)
        lines += [PaintedLine(), expiries(scene), reads(scene), spends(scene), PaintedLine(), event(scene)]
        // The last column stays free: some terminals wrap as soon as it is written.
        return lines.map { $0.text(width: max(width - 1, 1), hasColour: hasColour) }
    }

    /// The same in one line, for logs.
    static func summary(_ scene: DemoScene) -> String {
        let leader = scene.instances.first { $0.state == .leader }.map { "instance \($0.number)" } ?? "none"
        return "\(seconds(scene.elapsed)) of \(DurationText.format(scene.duration)): leader \(leader), "
            + "\(scene.refreshes) refreshes, \(scene.served) tokens served (\(Int(scene.readsPerSecond.rounded()))/s), "
            + "\(scene.waited) waited, \(scene.failed) failed, \(scene.expired) expired, "
            + "\(scene.duplicateSpends) duplicate spends"
    }

    static func seconds(_ duration: Duration) -> String {
        "\(duration.components.seconds)s"
    }

    private static func header(_ scene: DemoScene, width: Int) -> PaintedLine {
        var line = PaintedLine()
        line.add("perennial demo", .bold)
        let text = "  \(seconds(scene.elapsed)) / \(DurationText.format(scene.duration))"
        let room = min(max(width - 20 - text.count, 0), 48)
        line.add("  ")
        line.add(bar(scene.elapsed / scene.duration, width: room), .cyan)
        line.add(text)
        return line
    }

    /// A bar of `width` characters, filled to this share.
    static func bar(_ share: Double, width: Int) -> String {
        let filled = Int((min(max(share, 0), 1) * Double(width)).rounded(.down))
        return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    }

    private static func line(_ instance: DemoScene.Instance) -> PaintedLine {
        var line = PaintedLine()
        line.add("  instance \(instance.number)", width: 14)
        line.add("pid \(instance.pid)", width: 13, .dim)
        line.add(instance.address, width: 17, .dim)
        switch instance.state {
        case .leader: line.add("leader", width: 10, .green)
        case .follower: line.add("follower", width: 10)
        case .killed: line.add("killed", width: 10, .red)
        case .ended: line.add("ended", width: 10, .red)
        }
        if case .ended(let how) = instance.state {
            line.add(how, .red)
        } else {
            line.add("\(instance.refreshes) refreshes")
        }
        return line
    }

    private static func expiries(_ scene: DemoScene) -> PaintedLine {
        var line = PaintedLine()
        line.add("  \(scene.accounts) accounts, next to expire: ")
        let texts = scene.earliest.map { "\($0.account) \(tenths($0.secondsLeft)) s (g\($0.generation))" }
        line.add(texts.isEmpty ? "not known yet" : texts.joined(separator: " · "), .cyan)
        return line
    }

    private static func reads(_ scene: DemoScene) -> PaintedLine {
        var line = PaintedLine()
        line.add("  reads   \(Int(scene.readsPerSecond.rounded()))/s", width: 18)
        line.add("\(scene.served) served", width: 18)
        line.add("\(scene.waited) waited", width: 14, scene.waited > 0 ? .yellow : nil)
        line.add("\(scene.rerouted) rerouted", width: 16)
        line.add("\(scene.failed) failed", width: 12, scene.failed > 0 ? .red : .green)
        line.add("\(scene.expired) expired", scene.expired > 0 ? .red : .green)
        return line
    }

    private static func spends(_ scene: DemoScene) -> PaintedLine {
        var line = PaintedLine()
        line.add("  ledger  ", width: 18)
        line.add("\(scene.refreshes) refreshes", width: 18)
        line.add("\(scene.duplicateSpends) duplicate spends", width: 30, scene.duplicateSpends > 0 ? .red : .green)
        line.add("\(scene.familiesRevoked) families revoked", scene.familiesRevoked > 0 ? .red : .green)
        return line
    }

    private static func event(_ scene: DemoScene) -> PaintedLine {
        var line = PaintedLine()
        line.add("  \(scene.event)", .dim)
        return line
    }

    private static func tenths(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }
}
