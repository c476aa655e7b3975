import Glibc

/// redis-cli, run to its end.
enum RedisCLI {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Returns what it printed, without the last line feed.
    ///
    /// - Throws: ``Failure`` when the server answered with an error, could not be reached, or took too long.
    static func run(_ arguments: [String], password: String?, timeout: Duration) async throws -> String {
        var template = Array("/tmp/prn-cli-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw Failure(description: "cannot make a temporary file") }
        close(file)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }

        let login = password.map { ["-a", $0, "--no-auth-warning"] } ?? []
        let process = try ChildProcess("redis-cli", ["-e"] + login + arguments, output: path, isGuarded: false)
        let deadline = ContinuousClock.now + timeout
        while process.isRunning {
            guard ContinuousClock.now < deadline else {
                process.kill(SIGKILL)
                process.wait()
                throw Failure(description: "redis-cli \(arguments.joined(separator: " ")) took longer than \(timeout)")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        let text = read(path)
        guard process.exitCode == 0 else {
            throw Failure(description: "redis-cli \(arguments.joined(separator: " ")) failed: \(text)")
        }
        return text
    }

    private static func read(_ path: String) -> String {
        var text = TextFile.read(path) ?? ""
        while let last = text.last, ["\n", "\r", "\r\n"].contains(last) { text.removeLast() }
        return text
    }
}
