import CurlClient
import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A real proxy between a client and the mock provider's API, with one of the configurations of `deploy/examples`.
struct ForwardAuthSite: Sendable {
    let site: OneAccountSite
    let instance: PerennialInstance
    let key: String
    let proxyPort: Int

    /// - Parameter account: what the example says instead of `alice`.
    init(_ site: OneAccountSite) async throws {
        let (key, configuration) = try await site.withKey()
        self.site = site
        self.key = key
        instance = try await PerennialInstance.start(site.workshop, configuration: configuration)
        proxyPort = try FreePort.find()
    }

    /// - Parameter whose: what stands behind `/v1/forward-auth/`, instead of alice.
    func startNginx(for whose: String) async throws {
        let directory = site.workshop.directory
        let server = try adapted("nginx.conf", ["alice": whose, "prn_YOUR_KEY": key])
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
            "\($0)_temp_path \(directory)/\($0);"
        }
        let file = site.workshop.path("nginx.conf")
        try TextFile.write(
            """
            daemon off;
            worker_processes 1;
            pid \(directory)/nginx.pid;
            events {}
            http {
                access_log off;
                \(temporary.joined(separator: " "))
                include \(server);
            }

            """, to: file)
        try await waitFor(
            try await site.workshop.start(
                "nginx", "nginx", ["-p", directory, "-e", "\(directory)/nginx-error.log", "-c", file]))
    }

    func startHAProxy(for whose: String) async throws {
        let script = try adapted("perennial.lua", [:])
        let file = try adapted("haproxy.cfg", ["alice": whose, "lua-load perennial.lua": "lua-load \(script)"])
        try await waitFor(
            try await site.workshop.start(
                "haproxy", "/usr/bin/env",
                ["PERENNIAL_URL=\(instance.origin)", "PERENNIAL_KEY=\(key)", "haproxy", "-db", "-f", file]))
    }

    /// The example with other addresses and names.
    ///
    /// - Returns: the path of the copy.
    private func adapted(_ name: String, _ changes: [String: String]) throws -> String {
        let root = #filePath.components(separatedBy: "/Tests/IntegrationTests/").first ?? ""
        var text = try String(contentsOfFile: "\(root)/deploy/examples/\(name)", encoding: .utf8)
        var changes = changes
        if !name.hasSuffix(".lua") {
            changes["127.0.0.1:8080"] = "127.0.0.1:\(proxyPort)"
            changes["127.0.0.1:9000"] = "127.0.0.1:\(site.mock.port)"
        }
        if name == "nginx.conf" { changes["127.0.0.1:8700"] = "127.0.0.1:\(instance.port)" }
        for (before, after) in changes {
            guard text.contains(before) else { throw ServerFailure("\(name) does not say \(before)") }
            text = text.replacing(before, with: after)
        }
        let copy = site.workshop.path("example-\(name)")
        try TextFile.write(text, to: copy)
        return copy
    }

    private func waitFor(_ process: ServerProcess) async throws {
        try await process.waitUntil("listening", timeout: .seconds(60)) {
            (try? await site.workshop.http.execute(CurlRequest(url: "http://127.0.0.1:\(proxyPort)/livez"))) != nil
        }
    }

    /// One request of a client, which has credentials of its own that nobody is to see.
    func call(_ path: String = "/resource") async throws -> CurlResponse {
        try await site.workshop.http.execute(
            CurlRequest(
                url: "http://127.0.0.1:\(proxyPort)\(path)",
                headers: [("Authorization", "Bearer of-the-client"), ("Origin", "https://shop.example")],
                totalTimeout: .seconds(60)))
    }
}
