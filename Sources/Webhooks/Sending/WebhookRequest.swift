import CurlClient
import RefreshCore

/// One HTTP request that carries an event to an endpoint, signed for this moment.
public struct WebhookRequest: Sendable {
    public let url: Secret
    /// In this order. Values of configured headers are secrets.
    public let headers: [(name: String, value: String, isSecret: Bool)]
    public let body: [UInt8]

    /// - Parameter now: of the machine that sends: receivers compare the timestamp with theirs.
    public init(_ event: FleetEvent, to endpoint: WebhookEndpoint, now: WallTime) {
        let seconds = now.milliseconds / 1000
        var sign: (time: String, signature: String)?
        var url = endpoint.url.reveal()
        if let secret = endpoint.botSecret?.reveal() {
            if endpoint.body.format == .dingtalk {
                let signature = BotSignature.dingtalk(secret: secret, milliseconds: now.milliseconds)
                url += url.contains("?") ? "&" : "?"
                url += "timestamp=\(now.milliseconds)&sign=\(PercentEncoding.encode(signature))"
            } else {
                sign = (String(seconds), BotSignature.feishu(secret: secret, seconds: seconds))
            }
        }
        body = endpoint.body.render(event, sign: sign, chatID: endpoint.chatID)
        self.url = Secret(url)
        var headers: [(name: String, value: String, isSecret: Bool)] = [
            ("Content-Type", endpoint.body.contentType, false), ("User-Agent", "perennial", false),
            ("webhook-id", event.id, false), ("webhook-timestamp", String(seconds), false),
        ]
        if !endpoint.secrets.isEmpty {
            let body = body
            let signatures = endpoint.secrets.map { $0.signature(id: event.id, timestamp: seconds, body: body) }
            headers.append(("webhook-signature", signatures.joined(separator: " "), true))
        }
        headers += endpoint.headers.map { ($0.name, $0.value.reveal(), true) }
        self.headers = headers
    }

    /// - Parameter endpoint: whose timeout and authorities hold.
    func curl(_ endpoint: WebhookEndpoint) -> CurlRequest {
        CurlRequest(
            method: "POST", url: url.reveal(), headers: headers.map { ($0.name, $0.value) }, body: body,
            connectTimeout: min(endpoint.timeout, .seconds(10)), totalTimeout: endpoint.timeout,
            tls: CurlTLS(caFile: endpoint.caFile))
    }
}
