import CurlClient
import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An nginx that stands for an API: it looks at the token and answers by what it thinks of it.
enum UpstreamServer {
    /// - Parameters:
    ///   - path: answers 418 to a call without a token.
    ///   - log: what is written of each request, as `log_format` has it.
    ///   - fates: the cases of a map from the header Authorization to `$fate`; the one without a token is `empty`.
    ///   - locations: of the server.
    /// - Returns: the path of its log.
    static func start(
        _ site: CrashSite, port: Int, path: String, log: String, fates: String, locations: String
    ) async throws -> String {
        let file = site.workshop.path("upstream.log")
        let folder = site.workshop.path("upstream")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try TextFile.write(
            """
            daemon off; worker_processes 1; pid \(folder)/pid; error_log \(folder)/error.log;
            events { worker_connections 1024; }
            http {
              client_body_temp_path \(folder)/body; proxy_temp_path \(folder)/proxy; fastcgi_temp_path \(folder)/f;
              uwsgi_temp_path \(folder)/u; scgi_temp_path \(folder)/s;
              log_format tokens '\(log)';
              access_log \(file) tokens;
              map $http_authorization $fate { \(fates) ~^Bearer.. good; default empty; }
              default_type application/json;
              server {
                listen 127.0.0.1:\(port);
                \(locations)
              }
            }

            """, to: "\(folder)/nginx.conf")
        let nginx = try await site.workshop.start("upstream", "nginx", ["-p", folder, "-c", "\(folder)/nginx.conf"])
        try await nginx.waitUntil("answers", timeout: .seconds(60)) {
            let answer = try? await site.workshop.http.execute(CurlRequest(url: "http://127.0.0.1:\(port)\(path)"))
            return answer?.status == 418
        }
        return file
    }
}
