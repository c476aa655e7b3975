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

    /// What a run has found.
    struct Result: Sendable {
        /// Requests a second.
        var rate: Double
        /// From sending a request to its complete answer, in ms.
        var medianLatency: Double
    }

    /// - Returns: requests a second.
    /// - Throws: ``BenchError`` when a request failed or was not answered 2xx: then the number would mean nothing.
    func run(_ workshop: Workshop, url: String, _ request: Request) async throws -> Double {
        try await measure(workshop, url: url, request).rate
    }

    /// - Throws: as ``run(_:url:_:)``.
    func measure(_ workshop: Workshop, url: String, _ request: Request) async throws -> Result {
        let script = workshop.path("wrk.lua")
        try TextFile.write(request.script(), to: script)
        let seconds = max(1, duration.components.seconds)
        let output = try await workshop.run(
            "wrk", "wrk",
            ["-t\(threads)", "-c\(connections)", "-d\(seconds)s", "--timeout", "10s", "--latency", "-s", script, url],
            timeout: .seconds(seconds + 30))
        guard !output.contains("Non-2xx"), !output.contains("Socket errors") else {
            throw BenchError("wrk against \(url) met errors:\n\(output)")
        }
        let lines = output.split(separator: "\n").map { $0.split(separator: " ") }
        guard let rate = lines.first(where: { $0.first == "Requests/sec:" }).flatMap({ Double($0[$0.count - 1]) }),
            rate > 0, let latency = lines.first(where: { $0.first == "50%" }).flatMap({ Self.milliseconds($0[1]) })
        else { throw BenchError("wrk reported no rate or latency:\n\(output)") }
        return Result(rate: rate, medianLatency: latency)
    }

    /// `1.23ms`, `45.00us`, `1.02s`.
    static func milliseconds(_ text: Substring) -> Double? {
        for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] where text.hasSuffix(unit) {
            return Double(text.dropLast(unit.count)).map { $0 * factor }
        }
        return nil
    }
}
