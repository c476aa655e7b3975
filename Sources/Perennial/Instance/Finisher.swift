import CurlClient
import Journal
import RefreshCore
import ServiceLifecycle

/// The last to work before the connection to Redis goes: lets refreshes and acquisitions under way land, so that no
/// answer is left to the journal without need.
struct Finisher: Service {
    let coordinator: RefreshCoordinator
    /// Nil where none are made.
    let acquisitions: AcquisitionKeeper?
    let journal: FileJournal
    let curl: CurlClient
    /// Nil where no webhooks are configured.
    let webhookCurl: CurlClient?
    /// Nil where no routes are configured.
    let gatewayCurl: CurlClient?
    let removesJournal: Bool

    func run() async throws {
        try? await gracefulShutdown()
        // A new task: after a hard cancellation refreshes under way have to land all the same.
        await Task {
            await coordinator.shutDown()
            await acquisitions?.drain()
            await journal.close(removingIfEmpty: removesJournal)
            await curl.shutdown()
            await webhookCurl?.shutdown()
            await gatewayCurl?.shutdown()
        }.value
    }
}
