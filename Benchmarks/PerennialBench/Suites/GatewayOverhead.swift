import ArgumentParser
import CurlClient
import PerennialServers

/// Calls through the gateway, against the same calls through nginx.
struct GatewayOverheadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway-overhead",
        abstract: "Calls of an upstream through the gateway, against nginx proxy_pass to the same upstream.")

    @OptionGroup var options: BenchOptions

    func run() async throws { try await options.run([GatewayOverheadSuite()]) }
}

struct GatewayOverheadSuite: BenchSuite {
    let name = "gateway-overhead"
    static let requiredRatio = 0.5
    /// Milliseconds.
    static let mostAdded = 0.5

    private struct Round {
        var nginx: Wrk.Result
        var keptNginx: Wrk.Result
        var perennial: Wrk.Result
        var nginxAlone: Wrk.Result
        var perennialAlone: Wrk.Result
    }

    func run(_ environment: BenchEnvironment) async throws -> BenchReport {
        try await Workshop.with(environment) { workshop in
            let account = WarmReadsSuite.account()
            let upstream = try await Self.startUpstream(workshop, token: account.accessToken ?? "")
            let proxies = try await Self.startProxy(workshop, upstream: upstream, token: account.accessToken ?? "")
            let redis = try await workshop.startRedis()
            var configuration = FleetConfiguration(
                redisURL: redis.url, tokenURL: "http://127.0.0.1:9/token", isProactive: true)
            configuration.routes["api"] = ["upstream: \"http://127.0.0.1:\(upstream)/v1\"", "account: \(account.id)"]
            let instance = try await PerennialInstance.start(
                workshop, configuration: try configuration.write(in: workshop))
            try await instance.put(account, workshop.http)

            let nginxURL = "http://127.0.0.1:\(proxies.plain)/v1/models"
            let keptURL = "http://127.0.0.1:\(proxies.kept)/v1/models"
            let perennialURL = instance.origin + "/gw/api/models"
            let length = try await Self.compare(workshop, nginxURL, perennialURL)
            let many = Wrk(connections: 64, threads: 2, duration: .seconds(environment.isQuick ? 2 : 5))
            let one = Wrk(connections: 1, threads: 1, duration: .seconds(environment.isQuick ? 2 : 3))
            let warmUp = Wrk(connections: 64, threads: 2, duration: .seconds(1))
            for url in [nginxURL, keptURL, perennialURL] { _ = try await warmUp.run(workshop, url: url, Wrk.Request()) }
            let count = environment.isQuick ? 3 : 5
            var rounds: [Round] = []
            for number in 1...count {
                environment.say("  round \(number) of \(count)")
                rounds.append(
                    Round(
                        nginx: try await many.measure(workshop, url: nginxURL, Wrk.Request()),
                        keptNginx: try await many.measure(workshop, url: keptURL, Wrk.Request()),
                        perennial: try await many.measure(workshop, url: perennialURL, Wrk.Request()),
                        nginxAlone: try await one.measure(workshop, url: nginxURL, Wrk.Request()),
                        perennialAlone: try await one.measure(workshop, url: perennialURL, Wrk.Request())))
            }
            return report(rounds, many: many, bytes: length)
        }
    }

    /// Answers only calls that carry the token.
    private static func startUpstream(_ workshop: Workshop, token: String) async throws -> Int {
        let port = try FreePort.find()
        let body = String(repeating: "{\"id\":\"model\",\"object\":\"model\"},", count: 16)
        try await NginxProcess.start(
            workshop, name: "upstream",
            http: """
                server {
                    listen 127.0.0.1:\(port);
                    location = /ready { return 200; }
                    location = /v1/models {
                        if ($http_authorization != 'Bearer \(token)') { return 401; }
                        default_type application/json;
                        return 200 '[\(body)0]';
                    }
                }
                """, probe: "http://127.0.0.1:\(port)/ready")
        return port
    }

    /// One nginx with two listeners: `proxy_pass` as it is, and with connections to the upstream that are kept. The token is a
    /// constant in both.
    private static func startProxy(
        _ workshop: Workshop, upstream: Int, token: String
    ) async throws -> (plain: Int, kept: Int) {
        let (plain, kept) = (try FreePort.find(), try FreePort.find())
        try await NginxProcess.start(
            workshop, name: "proxy",
            http: """
                upstream api { server 127.0.0.1:\(upstream); keepalive 64; keepalive_requests 1000000000; }
                server {
                    listen 127.0.0.1:\(plain);
                    location / {
                        proxy_pass http://127.0.0.1:\(upstream);
                        proxy_set_header Authorization "Bearer \(token)";
                    }
                }
                server {
                    listen 127.0.0.1:\(kept);
                    location / {
                        proxy_pass http://api;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_set_header Authorization "Bearer \(token)";
                    }
                }
                """, probe: "http://127.0.0.1:\(plain)/ready")
        return (plain, kept)
    }

    /// - Returns: how long the body is, which has to be the same both ways.
    private static func compare(_ workshop: Workshop, _ nginx: String, _ perennial: String) async throws -> Int {
        let one = try await workshop.http.execute(CurlRequest(url: nginx))
        let other = try await workshop.http.execute(CurlRequest(url: perennial))
        guard one.status == 200, other.status == 200, one.body == other.body else {
            throw BenchError("nginx answers \(one), the gateway \(other)")
        }
        return one.body.count
    }

    private func report(_ rounds: [Round], many: Wrk, bytes: Int) -> BenchReport {
        var report = BenchReport(name)
        report.add("nginx proxy_pass", Samples(rounds.map(\.nginx.rate)).median, "requests/s")
        report.add(
            "nginx with kept connections to the upstream", Samples(rounds.map(\.keptNginx.rate)).median, "requests/s")
        report.add("perennial", Samples(rounds.map(\.perennial.rate)).median, "requests/s")
        report.add(
            "perennial : nginx with kept connections",
            Samples(rounds.map { $0.perennial.rate / $0.keptNginx.rate }).median)
        report.add(
            "nginx proxy_pass, median of one caller", Samples(rounds.map(\.nginxAlone.medianLatency)).median, "ms")
        report.add("perennial, median of one caller", Samples(rounds.map(\.perennialAlone.medianLatency)).median, "ms")
        let ratio = Samples(rounds.map { $0.perennial.rate / $0.nginx.rate })
        report.add("lowest ratio of a round", ratio.smallest)
        report.add("highest ratio of a round", ratio.largest)
        report.require("perennial : nginx proxy_pass", ratio.median, .atLeast, Self.requiredRatio)
        report.require(
            "added to the median of one caller",
            Samples(rounds.map { $0.perennialAlone.medianLatency - $0.nginxAlone.medianLatency }).median, .atMost,
            Self.mostAdded, "ms")
        report.notes = [
            "medians of \(rounds.count) alternating rounds; rates by wrk with \(many.connections) connections and "
                + "\(many.threads) threads, \(many.duration.components.seconds) s each; latency with one connection",
            "upstream: nginx, \(NginxServer.workers) workers, \(bytes) bytes, 401 for calls without the token; "
                + "yardstick: another nginx, \(NginxServer.workers) workers, proxy_pass without further settings, which "
                + "connects for each call; Perennial keeps its connections",
            "wrk, the upstream and nginx or perennial share \(CPUs.count) cores",
        ]
        return report
    }
}
