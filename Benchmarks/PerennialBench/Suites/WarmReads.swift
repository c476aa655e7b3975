import ArgumentParser
import CurlClient
import FoundationEssentials
import PerennialServers

/// Reading a fresh token over HTTP, against nginx returning the same bytes.
struct WarmReadsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "warm-reads", abstract: "Token reads from memory against nginx returning the same bytes.")

    @OptionGroup var options: BenchOptions

    func run() async throws { try await options.run([WarmReadsSuite()]) }
}

struct WarmReadsSuite: BenchSuite {
    let name = "warm-reads"
    static let required = 0.4

    private struct Sides {
        var nginx: [Double] = []
        var open: [Double] = []
        var keyed: [Double] = []
    }

    func run(_ environment: BenchEnvironment) async throws -> BenchReport {
        try await Workshop.with(environment) { workshop in
            let account = Self.account()
            let redis = try await workshop.startRedis()
            var configuration = FleetConfiguration(
                redisURL: redis.url, tokenURL: "http://127.0.0.1:9/token", isProactive: true)
            let open = try await PerennialInstance.start(
                workshop, configuration: try configuration.write(in: workshop), number: 1)
            try await open.put(account, workshop.http)

            let keysFile = workshop.path("keys.json")
            let key = try await Self.createKey(workshop, file: keysFile)
            configuration.keysFile = keysFile
            let keyed = try await PerennialInstance.start(
                workshop, configuration: try configuration.write(in: workshop), number: 2)

            let path = "/v1/accounts/\(account.id)/token"
            let bearer = Wrk.Request(headers: [("Authorization", "Bearer \(key)")])
            let sample = try await Self.sample(workshop, url: open.origin + path)
            let nginx = try await NginxServer.start(
                workshop, path: path, body: String(decoding: sample.body, as: UTF8.self),
                etag: sample.first("ETag") ?? "\"1\"")
            let nginxSample = try await Self.sample(workshop, url: "http://127.0.0.1:\(nginx.port)\(path)")
            guard nginxSample.body.count == sample.body.count else {
                throw BenchError("nginx does not answer the same bytes")
            }

            let wrk = Wrk(connections: 64, threads: 2, duration: .seconds(environment.isQuick ? 2 : 5))
            let pairs = environment.isQuick ? 3 : 5
            let targets = [
                ("http://127.0.0.1:\(nginx.port)\(path)", Wrk.Request()), (open.origin + path, Wrk.Request()),
                (keyed.origin + path, bearer),
            ]
            // One short run each, so that nobody is measured cold.
            let warmUp = Wrk(connections: 64, threads: 2, duration: .seconds(1))
            for (url, request) in targets { _ = try await warmUp.run(workshop, url: url, request) }
            var sides = Sides()
            for pair in 1...pairs {
                environment.say("  round \(pair) of \(pairs)")
                sides.nginx.append(try await wrk.run(workshop, url: targets[0].0, targets[0].1))
                sides.open.append(try await wrk.run(workshop, url: targets[1].0, targets[1].1))
                sides.keyed.append(try await wrk.run(workshop, url: targets[2].0, targets[2].1))
            }
            return report(sides, wrk: wrk, bytes: sample.body.count)
        }
    }

    /// A token good for a month and as long as those of large providers.
    static func account() -> MockAccountLine {
        let text = String(repeating: "Ab3_", count: 55)
        return MockAccountLine(
            id: "bench", provider: MockProcess.provider, refreshToken: "rt-\(text)", accessToken: "at-\(text)",
            expiresAt: Int64(Date().timeIntervalSince1970) + 30 * 86_400)
    }

    /// A caller key with the scope `read`, for this run only.
    private static func createKey(_ workshop: Workshop, file: String) async throws -> String {
        let output = try await workshop.run(
            "perennial-keys", workshop.perennial,
            ["keys", "create", "--name", "bench", "--scope", "read", "--file", file], timeout: .seconds(20))
        guard let key = output.split(whereSeparator: \.isNewline).first(where: { $0.hasPrefix("prn_") }) else {
            throw BenchError("perennial keys create printed no key")
        }
        return String(key)
    }

    /// The second answer: the first one may come from Redis.
    private static func sample(_ workshop: Workshop, url: String) async throws -> CurlResponse {
        var answer = CurlResponse(status: 0)
        for _ in 0..<2 {
            answer = try await workshop.http.execute(CurlRequest(url: url))
            guard answer.status == 200 else { throw BenchError("\(url) was answered \(answer.status)") }
        }
        return answer
    }

    private func report(_ sides: Sides, wrk: Wrk, bytes: Int) -> BenchReport {
        var report = BenchReport(name)
        let yardstick = Samples(sides.nginx)
        report.add("nginx, the same bytes", yardstick.median, "requests/s")
        report.add("perennial", Samples(sides.open).median, "requests/s")
        report.add("perennial, with a caller key", Samples(sides.keyed).median, "requests/s")
        // Neighbours in time are compared, so that a change of the machine's mood does not count.
        let ratio = Samples(zip(sides.open, sides.nginx).map { $0 / $1 })
        let keyedRatio = Samples(zip(sides.keyed, sides.nginx).map { $0 / $1 })
        report.add("lowest ratio of a round", ratio.smallest)
        report.add("highest ratio of a round", ratio.largest)
        report.require("perennial : nginx", ratio.median, .atLeast, Self.required)
        report.require("perennial with a key : nginx", keyedRatio.median, .atLeast, Self.required)
        report.notes = [
            "medians of \(sides.nginx.count) alternating rounds of \(wrk.duration.components.seconds) s each; wrk with "
                + "\(wrk.connections) connections and \(wrk.threads) threads",
            "body of \(bytes) bytes; nginx: \(NginxServer.workers) workers, return 200, same Content-Type, "
                + "Cache-Control and ETag",
            "wrk shares \(CPUs.count) cores with the server it measures, so both sides are lower than alone",
        ]
        return report
    }
}
