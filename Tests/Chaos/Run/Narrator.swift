import Glibc

/// Tells what is going on, on stderr, so that the report stays alone on stdout.
struct Narrator: Sendable {
    private let start = ContinuousClock.now

    /// One line with the time since the start.
    func say(_ text: String) {
        let seconds = (ContinuousClock.now - start).milliseconds / 1000
        let rest = seconds % 60
        write("[\(seconds / 60):\(rest < 10 ? "0" : "")\(rest)] \(text)")
    }

    /// One line as it is.
    func write(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
