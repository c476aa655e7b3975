import Glibc

/// Tells what is going on, on stderr, so that the table stays alone on stdout.
struct Narrator: Sendable {
    private let start = ContinuousClock.now

    /// One line with the time since the start.
    func say(_ text: String) {
        let seconds = (ContinuousClock.now - start).components.seconds
        let line = Array("[\(seconds) s] \(text)\n".utf8)
        _ = line.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
