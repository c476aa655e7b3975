import PerennialServers

/// wrk, the load generator that takes both sides of a ratio.
struct Wrk: Sendable {
    /// At least as many as threads.
    var connections: Int
    var threads: Int
    var duration: Duration

    /// What every request of a run looks like. Kept in a script file, so that no key shows in `ps`.
    struct Request: Sendable {
        var method = "GET"
        var headers: [(name: String, value: String)] = []
        var body: String?

        /// Without a `request` function wrk builds the request once, so that Lua costs nothing while it runs.
        func script() -> String {
            var lines = ["wrk.method = \(Self.quoted(method))"]
            for header in headers {
                lines.append("wrk.headers[\(Self.quoted(header.name))] = \(Self.quoted(header.value))")
            }
            if let body { lines.append("wrk.body = \(Self.quoted(body))") }
            return lines.joined(separator: "\n") + "\n"
        }

        private static func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
    }

    /// - Returns: requests a second.
    /// - Throws: ``BenchError`` when a request failed or was not answered 2xx: then the number would mean nothing.
    func run(_ workshop: Workshop, url: String, _ request: Request) async throws -> Double {
        let script = workshop.path("wrk.lua")
        try TextFile.write(request.script(), to: script)
        let seconds = max(1, duration.components.seconds)
        let output = try await workshop.run(
            "wrk", "wrk",
            ["-t\(threads)", "-c\(connections)", "-d\(seconds)s", "--timeout", "10s", "-s", script, url],
            timeout: .seconds(seconds + 30))
        guard !output.contains("Non-2xx"), !output.contains("Socket errors") else {
            throw BenchError("wrk against \(url) met errors:\n\(output)")
        }
        for line in output.split(separator: "\n") where line.hasPrefix("Requests/sec:") {
            let text = line.dropFirst("Requests/sec:".count).filter { $0 != " " }
            if let rate = Double(String(text)), rate > 0 { return rate }
        }
        throw BenchError("wrk reported no rate:\n\(output)")
    }
}
