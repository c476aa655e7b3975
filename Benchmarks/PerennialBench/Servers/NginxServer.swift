import CurlClient
import PerennialServers

/// nginx answering one path with fixed bytes: the yardstick of a warm read.
struct NginxServer: Sendable {
    static let workers = 2

    let port: Int

    /// - Parameters:
    ///   - path: the one path that is answered.
    ///   - body: no `$`, quote or backslash.
    static func start(_ workshop: Workshop, path: String, body: String, etag: String) async throws -> NginxServer {
        guard !body.contains(where: { "$'\\".contains($0) }) else {
            throw BenchError("the body cannot be written into an nginx configuration")
        }
        let port = try FreePort.find()
        try await NginxProcess.start(
            workshop, name: "nginx",
            http: """
                server {
                    listen 127.0.0.1:\(port);
                    location = \(path) {
                        default_type application/json;
                        add_header Cache-Control no-store;
                        add_header ETag '\(etag)';
                        return 200 '\(body)';
                    }
                }
                """, probe: "http://127.0.0.1:\(port)\(path)")
        return NginxServer(port: port)
    }
}

/// One nginx: a master and its workers.
enum NginxProcess {
    /// - Parameters:
    ///   - name: of its files in the workshop.
    ///   - http: what stands in the block `http`.
    ///   - probe: a URL that is answered 200 as soon as it listens.
    static func start(
        _ workshop: Workshop, name: String, workers: Int = NginxServer.workers, http: String, probe: String
    ) async throws {
        let directory = workshop.directory
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(directory)/\(name)-\($0);" }
        let configuration = """
            daemon off;
            worker_processes \(workers);
            pid \(directory)/\(name).pid;
            events { worker_connections 4096; }
            http {
                \(temporary.joined(separator: " "))
                access_log off;
                server_tokens off;
                keepalive_timeout 600s;
                keepalive_requests 1000000000;
            \(http)
            }

            """
        let file = workshop.path("\(name).conf")
        try TextFile.write(configuration, to: file)
        let process = try await workshop.start(
            name, "nginx", ["-p", directory, "-e", "\(directory)/\(name)-error.log", "-c", file])
        try await process.waitUntil("listening", timeout: .seconds(10)) {
            (try? await workshop.http.execute(CurlRequest(url: probe)))?.status == 200
        }
    }
}
