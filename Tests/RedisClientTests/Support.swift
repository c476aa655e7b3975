import Logging
import PerennialServers
import RedisClient

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs a client for the time of `body` and waits until it has stopped.
func withClient<Result: Sendable>(
    _ url: String,
    _ adjust: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @escaping @Sendable (RedisClient) async throws -> Result
) async throws -> Result {
    var configuration = try RedisConfiguration(url: url)
    configuration.commandTimeout = .seconds(60)
    configuration.connectTimeout = .seconds(60)
    adjust(&configuration)
    let client = RedisClient(configuration: configuration, logger: quiet)
    return try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask {
            try await client.run()
            return nil
        }
        group.addTask { try await body(client) }
        defer { group.cancelAll() }
        while let result = try await group.next() {
            if let result { return result }
        }
        throw TestFailure("the body ended without a result")
    }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Waits for a condition, at most `limit`.
func eventually(
    _ what: String, within limit: Duration = .seconds(60), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("did not happen in time: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// The error of a call that must fail.
func failure<Value>(_ work: () async throws(RedisError) -> Value) async -> RedisError? {
    do throws(RedisError) {
        _ = try await work()
        return nil
    } catch {
        return error
    }
}

/// Ends the test instead of hanging it.
func within<Value: Sendable>(
    _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await work() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw TestFailure("took longer than \(limit)")
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw TestFailure("no result") }
        return value
    }
}
