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
        let directory = workshop.directory
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(directory)/nginx-\($0);" }
        let configuration = """
            daemon off;
            worker_processes \(workers);
            pid \(directory)/nginx.pid;
            events { worker_connections 4096; }
            http {
                \(temporary.joined(separator: " "))
                access_log off;
                server_tokens off;
                keepalive_timeout 600s;
                keepalive_requests 1000000000;
                server {
                    listen 127.0.0.1:\(port);
                    location = \(path) {
                        default_type application/json;
                        add_header Cache-Control no-store;
                        add_header ETag '\(etag)';
                        return 200 '\(body)';
                    }
                }
            }

            """
        let file = workshop.path("nginx.conf")
        try TextFile.write(configuration, to: file)
        let process = try await workshop.start(
            "nginx", "nginx", ["-p", directory, "-e", "\(directory)/nginx-error.log", "-c", file])
        let url = "http://127.0.0.1:\(port)\(path)"
        try await process.waitUntil("listening", timeout: .seconds(10)) {
            (try? await workshop.http.execute(CurlRequest(url: url)))?.status == 200
        }
        return NginxServer(port: port)
    }
}
