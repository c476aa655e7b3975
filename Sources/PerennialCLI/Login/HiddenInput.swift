import Dispatch
import Providers

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One line of standard input, which the terminal does not show.
enum HiddenInput {
    static var isTerminal: Bool { isatty(0) == 1 }
    private static let longest = 16_384

    /// - Throws: ``LoginError`` when nothing comes in time.
    static func readLine(within timeout: Duration) async throws(LoginError) -> String {
        let before = hideInput()
        // Ended while nothing is shown, the terminal would stay that way.
        let guardian = before.map { before in
            Task {
                for await number in SignalStream() {
                    showInput(before)
                    exit(128 + number)
                }
            }
        }
        defer {
            guardian?.cancel()
            if let before {
                showInput(before)
                Terminal.standardError("")
            }
        }
        // Waiting for a person holds up a thread, and not one of those that the rest runs on.
        let line = await withCheckedContinuation { (continuation: CheckedContinuation<String?, Never>) in
            DispatchQueue(label: "perennial.input").async { continuation.resume(returning: Self.line(within: timeout)) }
        }
        guard let line else { throw LoginError(.expired, "nothing was pasted in time: log in again") }
        return line
    }

    private static func line(within timeout: Duration) -> String? {
        let deadline = ContinuousClock.now + timeout
        var bytes: [UInt8] = []
        while ContinuousClock.now < deadline {
            var waiting = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 200) > 0 else { continue }
            var byte: UInt8 = 0
            let count = read(0, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self) }
            if byte != 0x0a { bytes.append(byte) }
            let isBlank = bytes.allSatisfy { $0 == 0x20 || $0 == 0x0d }
            if byte == 0x0a && !isBlank || bytes.count >= longest { return String(decoding: bytes, as: UTF8.self) }
        }
        return nil
    }

    /// What the terminal was like before; nil where standard input is none.
    private static func hideInput() -> termios? {
        var before = termios()
        guard isTerminal, tcgetattr(0, &before) == 0 else { return nil }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(0, TCSANOW, &silent)
        return before
    }

    private static func showInput(_ before: termios) {
        var before = before
        tcsetattr(0, TCSANOW, &before)
    }
}
