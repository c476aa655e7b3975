import CurlClient
import RefreshCore
import Testing

@testable import Webhooks

struct RequestTests {
    private let now = WallTime(milliseconds: 1_700_000_000_123)

    private func header(_ name: String, of request: WebhookRequest) -> String? {
        request.headers.first { $0.name == name }?.value
    }

    @Test func aTryIsSignedWithEachSecretForItsMoment() throws {
        var endpoint = Sample.endpoint()
        let secrets = [
            try SigningSecret(CatalogTests.secret), try SigningSecret("whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"),
        ]
        endpoint.secrets = secrets
        endpoint.headers = [.init(name: "Authorization", value: Secret("Bearer planted"))]
        let event = Sample.event(3)
        let first = WebhookRequest(event, to: endpoint, now: now)
        #expect(header("webhook-id", of: first) == event.id)
        #expect(header("webhook-timestamp", of: first) == "1700000000")
        #expect(
            header("webhook-signature", of: first)
                == secrets.map { $0.signature(id: event.id, timestamp: 1_700_000_000, body: first.body) }
                .joined(separator: " "))
        #expect(header("Authorization", of: first) == "Bearer planted")
        #expect(first.headers.filter(\.isSecret).map(\.name) == ["webhook-signature", "Authorization"])
        // Another try: the same id and body, another moment.
        let second = WebhookRequest(event, to: endpoint, now: now + .seconds(60))
        #expect(header("webhook-id", of: second) == event.id)
        #expect(second.body == first.body)
        #expect(header("webhook-timestamp", of: second) == "1700000060")
        #expect(header("webhook-signature", of: second) != header("webhook-signature", of: first))
    }

    @Test func withoutASecretNothingIsSigned() {
        let request = WebhookRequest(Sample.event(3), to: Sample.endpoint(), now: now)
        #expect(header("webhook-signature", of: request) == nil)
    }

    @Test func botsGetTheirSignaturesWhereTheyLookForThem() throws {
        var endpoint = Sample.endpoint()
        endpoint.botSecret = Secret("demo-secret")
        endpoint.body = BodyTemplate(.dingtalk)
        endpoint.url = Secret("https://oapi.dingtalk.com/robot/send?access_token=planted")
        let dingtalk = WebhookRequest(Sample.event(1), to: endpoint, now: now)
        #expect(
            dingtalk.url.reveal()
                == "https://oapi.dingtalk.com/robot/send?access_token=planted&timestamp=1700000000123&sign="
                + PercentEncoding.encode(BotSignature.dingtalk(secret: "demo-secret", milliseconds: 1_700_000_000_123)))
        endpoint.body = BodyTemplate(.feishu)
        let feishu = try JSON.parse(WebhookRequest(Sample.event(1), to: endpoint, now: now).body)
        #expect(feishu["timestamp"] == .text("1700000000"))
        #expect(feishu["sign"] == .text(BotSignature.feishu(secret: "demo-secret", seconds: 1_700_000_000)))
    }

    // MARK: Answers

    private func result(
        _ status: Int, _ body: String = "", format: BodyFormat? = .json, _ headers: [(name: String, value: String)] = []
    ) -> DeliveryResult {
        WebhookAnswer.result(
            CurlResponse(status: status, headers: headers, body: Array(body.utf8)), format: format, now: now)
    }

    @Test func whatStatusesMean() {
        for status in [200, 201, 202, 204] { #expect(result(status) == .delivered) }
        for status in [400, 413, 415, 422] { #expect(result(status) == .rejected("HTTP \(status)")) }
        for status in [401, 403, 404, 408, 429, 500, 502, 503] { #expect(result(status) == .failed("HTTP \(status)")) }
        #expect(result(410) == .gone)
        guard case .failed(let reason, _) = result(302) else {
            Issue.record("a redirect is not followed")
            return
        }
        #expect(reason.contains("write the URL that it leads to"))
    }

    @Test(arguments: [
        (BodyFormat.feishu, "{\"code\":0,\"msg\":\"success\"}", DeliveryResult.delivered),
        (.feishu, "{\"StatusCode\":0,\"StatusMessage\":\"success\"}", .delivered),
        (.feishu, "{\"code\":19021,\"msg\":\"sign match fail\"}", .rejected("error code 19021")),
        (.dingtalk, "{\"errcode\":0,\"errmsg\":\"ok\"}", .delivered),
        (.dingtalk, "{\"errcode\":310000,\"errmsg\":\"keywords not in content\"}", .rejected("error code 310000")),
        (.wecom, "{\"errcode\":93000,\"errmsg\":\"invalid webhook url\"}", .rejected("error code 93000")),
        (
            .wecom, "{\"errcode\":45009,\"errmsg\":\"api freq out of limit\"}",
            .failed("error code 45009: too many messages", retryAfter: .seconds(60))
        ),
        (.wecom, "<html>", .failed("an answer without an error code: is this the right URL?")),
        (.slack, "ok", .delivered),
    ]) func a200OfAChatServiceMayBeARefusal(format: BodyFormat, body: String, expected: DeliveryResult) {
        #expect(result(200, body, format: format) == expected)
    }

    @Test(arguments: [
        ("120", "", 120.0), ("0.5", "", 0.5), ("Tue, 14 Nov 2023 22:14:20 GMT", "", 59.877),
        ("Tue, 14 Nov 2023 22:00:00 GMT", "", 0), ("soon", "", nil), ("-5", "", nil), ("nan", "", nil),
        ("1e300", "", 86_400), ("", "{\"ok\":false,\"parameters\":{\"retry_after\":7}}", 7),
        ("", "{\"retry_after\":1.5}", 1.5), ("", "{\"retry_after\":\"x\"}", nil),
    ]) func retryAfterInAllItsForms(header: String, body: String, seconds: Double?) {
        let response = CurlResponse(
            status: 429, headers: header.isEmpty ? [] : [("Retry-After", header)], body: Array(body.utf8))
        let pause = WebhookAnswer.retryAfter(response, now: now)
        #expect(pause == seconds.map { .milliseconds(Int64($0 * 1000)) })
    }
}
