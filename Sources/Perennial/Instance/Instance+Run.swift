import Logging
import RedisStore
import RefreshCore
import ServiceLifecycle

extension Instance {
    /// Runs a command against the fleet's store: keeps the services up around `body`, and shuts them down in order.
    ///
    /// - Parameter patience: how long to wait for Redis before giving up.
    /// - Throws: ``StoreUnavailable`` when Redis is not there, and what `body` throws.
    package func withStore<Result: Sendable>(
        patience: Duration = .seconds(10), logger: Logger, _ body: @Sendable @escaping (Instance) async throws -> Result
    ) async throws -> Result {
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0) }, gracefulShutdownSignals: [], logger: logger))
        return try await withThrowingTaskGroup(of: Result?.self) { tasks in
            tasks.addTask {
                try await group.run()
                return nil
            }
            tasks.addTask {
                try await waitForStore(patience)
                return try await body(self)
            }
            do {
                while let result = try await tasks.next() {
                    guard let result else { continue }
                    await group.triggerGracefulShutdown()
                    _ = try await tasks.next()
                    return result
                }
            } catch {
                await group.triggerGracefulShutdown()
                while let rest = await tasks.nextResult() { _ = rest }
                throw error
            }
            throw StartError("the command ended without a result")
        }
    }

    private func waitForStore(_ patience: Duration) async throws {
        let deadline = ContinuousClock.now + patience
        while link.gate.reason != nil {
            guard ContinuousClock.now < deadline else {
                throw StoreUnavailable(description: storeObstacle ?? "Redis is not available")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

/// Redis did not become available in time.
package struct StoreUnavailable: Error, Sendable, CustomStringConvertible {
    package let description: String
}
