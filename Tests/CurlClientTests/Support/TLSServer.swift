import Foundation

@testable import CurlClient

/// nginx with TLS and HTTP/2 in a temporary directory, on a free port, with a certificate for `localhost` from an
/// authority of its own.
final class TLSServer {
    let port: UInt16
    /// The authority that signed the server's certificate.
    let caFile: String
    private let directory: URL
    private let process: ChildProcess

    init() async throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("curl-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        caFile = directory.appendingPathComponent("ca.pem").path
        port = try RawServer.freePort()
        try Self.makeCertificates(in: directory)
        try Self.configuration(port: port, directory: directory.path)
            .write(to: directory.appendingPathComponent("nginx.conf"), atomically: true, encoding: .utf8)
        process = try ChildProcess(
            "nginx", ["-p", directory.path, "-e", directory.path + "/error.log", "-c", directory.path + "/nginx.conf"])
        do {
            try await waitUntilUp()
        } catch {
            stop()
            throw error
        }
    }

    func stop() {
        process.terminate()
        try? FileManager.default.removeItem(at: directory)
    }

    private func waitUntilUp() async throws {
        let client = CurlClient()
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let request = CurlRequest(url: "https://localhost:\(port)/", tls: CurlTLS(caFile: caFile))
            if (try? await client.execute(request)) != nil { break }
            guard ContinuousClock.now < deadline else {
                let log = try? String(contentsOf: directory.appendingPathComponent("error.log"), encoding: .utf8)
                await client.shutdown()
                throw ChildProcess.Failure(description: "nginx did not start: \(log ?? "no log")")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        await client.shutdown()
    }

    private static func configuration(port: UInt16, directory: String) -> String {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(directory)/\($0);" }.joined(separator: "\n")
        return """
            daemon off; master_process off; pid \(directory)/nginx.pid;
            events {}
            http {
              access_log off;
              \(temporary)
              server {
                listen 127.0.0.1:\(port) ssl http2;
                ssl_certificate \(directory)/server.pem;
                ssl_certificate_key \(directory)/server.key;
                location / { add_header X-Method $request_method; return 200 "hello"; }
              }
            }
            """
    }

    private static func makeCertificates(in directory: URL) throws {
        try "subjectAltName=DNS:localhost\n"
            .write(to: directory.appendingPathComponent("san.cnf"), atomically: true, encoding: .utf8)
        func path(_ name: String) -> String { directory.appendingPathComponent(name).path }
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for arguments in [
            ["req", "-x509"] + key + [
                "-days", "2", "-subj", "/CN=Test CA", "-keyout", path("ca.key"), "-out", path("ca.pem"),
            ],
            ["req"] + key + ["-subj", "/CN=localhost", "-keyout", path("server.key"), "-out", path("server.csr")],
            [
                "x509", "-req", "-in", path("server.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                "-CAcreateserial",
            ]
                + ["-days", "2", "-extfile", path("san.cnf"), "-out", path("server.pem")],
        ] {
            guard try ChildProcess("openssl", arguments).wait() else {
                throw ChildProcess.Failure(description: "openssl \(arguments[0]) failed")
            }
        }
    }
}
