import ArgumentParser
import CurlClient
import NIOConcurrencyHelpers
import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Many streams of server-sent events through the gateway at once.
struct GatewayStreamsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway-streams",
        abstract: "500 open streams of server-sent events: how late each event is, and what memory they take.")

    @OptionGroup var options: BenchOptions

    @Option(help: "Streams that are open at once.")
    var streams = 500

    func run() async throws { try await options.run([GatewayStreamsSuite(streams: streams)]) }
}

struct GatewayStreamsSuite: BenchSuite {
    let name = "gateway-streams"
    /// Milliseconds.
    static let mostDelay = 50.0
    /// How much the memory of the instance may grow from its first third to its last.
    static let mostGrowth = 1.1

    var streams = 500

    private struct Tally: Sendable {
        /// Milliseconds.
        var delays: [Double] = []
        var complete = 0
        var failures: [String] = []
    }

    func run(_ environment: BenchEnvironment) async throws -> BenchReport {
        guard (1...2000).contains(streams) else { throw BenchError("from 1 to 2000 streams") }
        let seconds = environment.isQuick ? 15 : 60
        return try await Workshop.with(environment) { workshop in
            let account = WarmReadsSuite.account()
            let upstream = try await EventServer.start(beat: .seconds(1), events: seconds)
            let redis = try await workshop.startRedis()
            var configuration = FleetConfiguration(
                redisURL: redis.url, tokenURL: "http://127.0.0.1:9/token", isProactive: true)
            configuration.routes["events"] = [
                "upstream: \"http://127.0.0.1:\(upstream.port)\"", "account: \(account.id)",
            ]
            let instance = try await PerennialInstance.start(
                workshop, configuration: try configuration.write(in: workshop))
            try await instance.put(account, workshop.http)

            let tally = NIOLockedValueBox(Tally())
            let client = CurlClient(configuration: .init(maxConnections: streams, maxConnectionsPerHost: streams))
            let url = instance.origin + "/gw/events/all"
            environment.say("  \(streams) streams for \(seconds) s")
            let memory = try await withThrowingTaskGroup(of: [Double].self) { group in
                group.addTask { try await Self.watchMemory(instance.process.pid, for: .seconds(seconds)) }
                for index in 0..<streams {
                    group.addTask {
                        // Spread over the beat, as callers are.
                        try await Task.sleep(for: .milliseconds(index * 1000 / streams))
                        await Self.read(client, url, expecting: seconds, tally)
                        return []
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            await client.shutdown()
            await upstream.stop()
            return report(tally.withLockedValue { $0 }, memory, seconds: seconds)
        }
    }

    private static func read(
        _ client: CurlClient, _ url: String, expecting count: Int, _ tally: NIOLockedValueBox<Tally>
    ) async {
        do {
            let stream = try await client.open(CurlRequest(url: url, headers: [("Accept", "text/event-stream")]))
            guard stream.head.status == 200 else { throw BenchError("was answered \(stream.head.status)") }
            var seen = 0
            while let bytes = try await stream.next() {
                let now = EventServer.now()
                for event in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
                    guard event.hasPrefix("data: "), let written = Int64(event.dropFirst(6)) else {
                        throw BenchError("an event came in pieces")
                    }
                    seen += 1
                    tally.withLockedValue { $0.delays.append(Double(now - written) / 1_000_000) }
                }
            }
            guard seen == count else { throw BenchError("\(seen) of \(count) events came") }
            tally.withLockedValue { $0.complete += 1 }
        } catch {
            tally.withLockedValue { $0.failures.append("\(error)") }
        }
    }

    /// The resident memory of a process once a second, in MiB.
    private static func watchMemory(_ pid: Int32, for time: Duration) async throws -> [Double] {
        var found: [Double] = []
        let end = ContinuousClock.now + time
        while ContinuousClock.now < end {
            try await Task.sleep(for: .seconds(1))
            let status = TextFile.read("/proc/\(pid)/status") ?? ""
            for line in status.split(separator: "\n") where line.hasPrefix("VmRSS:") {
                let words = line.split(separator: " ")
                if words.count > 1, let kilobytes = Double(words[words.count - 2]) { found.append(kilobytes / 1024) }
            }
        }
        guard found.count >= 9 else { throw BenchError("the memory of the instance cannot be seen") }
        return found
    }

    private func report(_ tally: Tally, _ memory: [Double], seconds: Int) -> BenchReport {
        var report = BenchReport(name)
        let delays = Samples(tally.delays)
        let third = memory.count / 3
        // The streams are open after the first second or two.
        let early = Samples(Array(memory[2..<(2 + third)])).median
        let late = Samples(Array(memory.suffix(third))).median
        report.add("delay of an event, median", delays.median, "ms")
        report.add("delay of an event, p99", delays.percentile(0.99), "ms")
        report.add("memory of the instance, early", early, "MiB")
        report.add("memory of the instance, late", late, "MiB")
        report.require("streams that got every event", tally.complete, .equals, streams)
        report.require("longest delay of an event", delays.largest, .atMost, Self.mostDelay, "ms")
        report.require("memory late : early", late / early, .atMost, Self.mostGrowth)
        report.notes = [
            "\(streams) streams for \(seconds) s, an event a second on each: \(tally.delays.count) events; a delay is "
                + "from before the upstream writes the event until the client has it",
            "upstream and clients are one process, and share \(CPUs.count) cores with the instance",
        ]
        for failure in Set(tally.failures).sorted().prefix(5) { report.notes.append("a stream failed: \(failure)") }
        return report
    }
}
