import Logging
import RedisStore
import RefreshCore
import ServiceLifecycle

/// Waits for Redis, makes sure that it is the right store and the right key, and warns of settings that lose tokens.
struct StoreOpener: Service {
    let link: RedisLink
    /// Commands say by themselves what they wait for.
    let isQuiet: Bool
    let logger: Logger

    /// - Throws: `StoreError` when the store must not be used: a wrong sealing key ends the process before anything
    ///   has been written.
    func run() async throws {
        try await cancelWhenGracefulShutdown {
            if try await open(), !isQuiet {
                logger.info("Redis is ready")
                for warning in await ServerSurvey.warnings(link) { logger.warning("\(warning)") }
            }
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
        }
    }

    /// False when cancelled.
    private func open() async throws(StoreError) -> Bool {
        var pause = Duration.milliseconds(50)
        var tries = 0
        while !Task.isCancelled {
            do {
                try await StoreMeta.open(link)
                return true
            } catch  where error.code == .sealing || error.code == .corrupt {
                link.gate.close(error)
                throw error
            } catch {
                tries += 1
                // Said at once, and then ever more rarely, up to once a minute.
                if !isQuiet, tries == 1 || pause >= .seconds(5), error.code != .cancelled {
                    logger.warning("Redis cannot be used yet, trying again: \(error.message)")
                }
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, tries < 20 ? .seconds(5) : .seconds(60))
        }
        return false
    }
}
