import CurlClient
import RefreshCore

/// What carries events to endpoints.
public protocol WebhookSender: Sendable {
    func send(_ event: FleetEvent, to endpoint: WebhookEndpoint) async -> DeliveryResult
}

/// Sends events over HTTP.
public struct CurlWebhookSender: WebhookSender {
    private let curl: CurlClient
    /// Of the machine, or of the fleet: what receivers compare the timestamp with.
    private let wall: @Sendable () -> WallTime

    public init(curl: CurlClient, wall: @escaping @Sendable () -> WallTime) {
        self.curl = curl
        self.wall = wall
    }

    public func send(_ event: FleetEvent, to endpoint: WebhookEndpoint) async -> DeliveryResult {
        await attempt(event, to: endpoint).result
    }

    /// As ``send(_:to:)``, with what there is to be seen of it.
    public func attempt(
        _ event: FleetEvent, to endpoint: WebhookEndpoint
    ) async -> (request: WebhookRequest, result: DeliveryResult, status: Int?, time: Duration) {
        let now = wall()
        let request = WebhookRequest(event, to: endpoint, now: now)
        let started = ContinuousClock.now
        do {
            let response = try await curl.execute(request.curl(endpoint))
            return (
                request, WebhookAnswer.result(response, format: endpoint.body.format, now: now), response.status,
                ContinuousClock.now - started
            )
        } catch {
            // Names scheme, host and port only.
            return (request, .failed(error.message), nil, ContinuousClock.now - started)
        }
    }
}
