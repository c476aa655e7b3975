import CurlClient

/// A `perennial serve` process.
public struct PerennialInstance: Sendable {
    public let port: Int
    public let process: ServerProcess

    public var origin: String { "http://127.0.0.1:\(port)" }

    /// Starts an instance and waits until `/readyz` says that it is ready.
    public static func start(
        _ workshop: Workshop, configuration: String, number: Int = 1, options: [String] = []
    ) async throws -> PerennialInstance {
        let port = try FreePort.find()
        let process = try await workshop.start(
            "perennial-\(number)", workshop.perennial,
            [
                "serve", "--config", configuration, "--listen", "127.0.0.1:\(port)", "--state-dir",
                workshop.path("state-\(number)"),
            ] + options)
        let instance = PerennialInstance(port: port, process: process)
        try await process.waitUntil("ready", timeout: .seconds(60)) {
            let answer = try? await workshop.http.execute(CurlRequest(url: instance.origin + "/readyz"))
            return answer?.status == 200
        }
        return instance
    }

    /// The accounts of a JSON lines file, through the command line.
    public static func importAccounts(_ workshop: Workshop, configuration: String, lines: [UInt8]) async throws {
        let path = workshop.path("accounts.jsonl")
        try TextFile.write(lines, to: path)
        _ = try await workshop.run(
            "perennial-import", workshop.perennial,
            ["accounts", "import", "--config", configuration, "--state-dir", workshop.path("state-import"), path],
            timeout: .seconds(180))
    }

    /// Puts one account.
    public func put(_ account: MockAccountLine, _ http: CurlClient) async throws {
        let answer = try await http.execute(
            CurlRequest(
                method: "PUT", url: "\(origin)/v1/accounts/\(account.id)",
                headers: [("Content-Type", "application/json")], body: account.putBody))
        guard (200...201).contains(answer.status) else {
            throw ServerFailure(
                "PUT of \(account.id) was answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
        }
    }
}
