import CurlClient
import RefreshCore
import Testing

@testable import Providers

struct DeviceTests {
    private static let good =
        #"{"device_code":"dc","user_code":"ABCD-EFGH","verification_uri":"https://h/device","expires_in":600,"interval":3}"#

    private func authorization(_ body: String = good) throws -> DeviceAuthorization {
        try DeviceAuthorization(Array(body.utf8))
    }

    @Test func `an answer of a device authorization endpoint`() throws {
        let answer = try authorization()
        #expect(answer.userCode == "ABCD-EFGH" && answer.verificationURI == "https://h/device")
        #expect(answer.lifetime == .seconds(600) && answer.interval == .seconds(3))
        #expect(answer.verificationURIComplete == nil)
        // Google's older name; numbers as text; five seconds where nothing is said (RFC 8628 §3.2).
        let other = try authorization(
            #"{"device_code":"dc","user_code":"A","verification_url":"https://h/d","verification_uri_complete":"https://h/d?c=A","expires_in":"60"}"#
        )
        #expect(
            other.verificationURI == "https://h/d" && other.interval == .seconds(5) && other.lifetime == .seconds(60))
        #expect(other.verificationURIComplete == "https://h/d?c=A")
        // However slow a server wants it.
        #expect(try authorization(Self.good.replacing(":3}", with: ":600}")).interval == .seconds(600))
        #expect(try authorization(Self.good.replacing(":3}", with: ":0}")).interval == .seconds(1))
    }

    @Test(arguments: [200, 400]) func `an error instead of codes is told, whatever the status`(status: Int) async throws
    {
        let catalog = try readProviders("providers: { p: { token_url: \"https://h/t\", client_id: c } }")
        let definition = try #require(catalog[name("p")])
        let body = Array(#"{"error":"device_flow_disabled","error_description":"Enable it first"}"#.utf8)
        let client = LoginClient(
            definition, route: RequestRoute(nil, definition: definition),
            transport: RecordingTransport(.success(CurlResponse(status: status, body: body))), time: FixedTime())
        let error = await #expect(throws: LoginError.self) {
            try await client.authorizeDevice(at: "https://h/device", scope: nil)
        }
        #expect(error?.code == .refused && error?.description.contains("device_flow_disabled") == true)
    }

    @Test(arguments: [
        "", "[]", "<html>", "{}", #"{"device_code":"d","verification_uri":"https://h/d","expires_in":1}"#,
        #"{"device_code":"d","user_code":"A\u001b[31m","verification_uri":"https://h/d","expires_in":1}"#,
        #"{"device_code":"d","user_code":"A","verification_uri":"javascript:alert(1)","expires_in":1}"#,
        #"{"device_code":"d","user_code":"A","verification_uri":"https://h/\u001b","expires_in":1}"#,
        #"{"device_code":"d","user_code":"A","verification_uri":"https://h/d","expires_in":-1}"#,
        #"{"device_code":"d","user_code":"A","verification_uri":"https://h/d"}"#,
        #"{"device_code":"","user_code":"A","verification_uri":"https://h/d","expires_in":1}"#,
    ]) func `answers that cannot be used`(body: String) {
        #expect(throws: LoginError.self) { try authorization(body) }
    }

    private func error(_ code: String, status: Int = 400) -> ExchangeResult {
        .answered(answer(status, #"{"error":"\#(code)"}"#))
    }

    @Test func `it asks at the pace that it is told`() throws {
        var polling = DevicePolling(try authorization())
        func pause(_ result: ExchangeResult) -> Duration? {
            if case .wait(let pause) = polling.next(after: result) { return pause }
            return nil
        }
        #expect(polling.interval == .seconds(3))
        #expect(pause(error("authorization_pending")) == .seconds(3))
        #expect(pause(error("slow_down")) == .seconds(8))
        #expect(pause(error("authorization_pending")) == .seconds(8))
        #expect(pause(error("slow_down")) == .seconds(13))
    }

    @Test func `a server that does not answer is asked less and less often`() throws {
        var polling = DevicePolling(try authorization())
        func pause(_ result: ExchangeResult) -> Duration? {
            if case .wait(let pause) = polling.next(after: result) { return pause }
            return nil
        }
        #expect(pause(.unanswered("lost")) == .seconds(6))
        #expect(pause(.answered(answer(503, "busy"))) == .seconds(12))
        // RFC 6749 §4.1.2.1, as some servers say it at the token endpoint: no end of the log-in.
        #expect(pause(error("temporarily_unavailable", status: 503)) == .seconds(24))
        #expect(pause(error("server_error", status: 500)) == .seconds(48))
        #expect(pause(.answered(answer(429, "{}", [("Retry-After", "77")]))) == .seconds(96))
        #expect(pause(.answered(answer(429, "{}", [("Retry-After", "200")]))) == .seconds(200))
        for _ in 0..<100 { #expect(pause(.unsent("no route")) == .seconds(120)) }
        // What it wants itself is as it was.
        #expect(pause(error("authorization_pending")) == .seconds(3))
        #expect(pause(.unsent("no route")) == .seconds(6))
    }

    /// RFC 8628 §3.5: the interval is the least there may be.
    @Test(arguments: [121, 300, 900]) func `a long interval never gets shorter`(seconds: Int) throws {
        var polling = DevicePolling(try authorization(Self.good.replacing(":3}", with: ":\(seconds)}")))
        func pause(_ result: ExchangeResult) -> Duration? {
            if case .wait(let pause) = polling.next(after: result) { return pause }
            return nil
        }
        #expect(pause(.unanswered("lost")) == .seconds(seconds))
        #expect(pause(.answered(answer(502, ""))) == .seconds(seconds))
        #expect(pause(error("slow_down")) == .seconds(seconds + 5))
        #expect(pause(error("authorization_pending")) == .seconds(seconds + 5))
    }

    /// GitHub answers all polls with 200, and tells the new interval with slow_down.
    @Test func `errors with 200 are errors`() throws {
        var polling = DevicePolling(try authorization())
        func step(_ body: String) -> DevicePolling.Step { polling.next(after: .answered(answer(200, body))) }
        let pending =
            #"{"error":"authorization_pending","error_description":"The authorization request is still pending.","error_uri":"https://docs.github.com/developers/apps/authorizing-oauth-apps#error-codes-for-the-device-flow"}"#
        guard case .wait(.seconds(3)) = step(pending) else {
            Issue.record("pending is not granted")
            return
        }
        guard case .wait(.seconds(10)) = step(#"{"error":"slow_down","interval":10}"#) else {
            Issue.record("the new interval is not kept")
            return
        }
        func failure(_ body: String) -> LoginError.Code? {
            if case .failed(let error) = step(body) { return error.code }
            return nil
        }
        #expect(failure(#"{"error":"access_denied"}"#) == .denied)
        #expect(failure(#"{"error":"expired_token"}"#) == .expired)
        #expect(failure(#"{"error":"incorrect_device_code"}"#) == .refused)
        for body in [
            #"{"access_token":"gho_0123456789abcdef","scope":""}"#,
            // Nonsense, but not to be lost.
            #"{"access_token":"gho_0123456789abcdef","error":"deprecated"}"#,
        ] {
            guard case .granted = step(body) else {
                Issue.record("tokens were lost: \(body)")
                return
            }
        }
    }

    @Test func `it ends with tokens or with words`() throws {
        func end(_ result: ExchangeResult) throws -> LoginError.Code? {
            var polling = DevicePolling(try authorization())
            if case .failed(let error) = polling.next(after: result) { return error.code }
            return nil
        }
        #expect(try end(error("access_denied")) == .denied)
        #expect(try end(error("expired_token")) == .expired)
        #expect(try end(error("invalid_grant")) == .refused)
        #expect(try end(.answered(answer(400, "nonsense"))) == .refused)
        #expect(try end(.answered(answer(404, "{}"))) == .refused)
        var polling = DevicePolling(try authorization())
        guard case .granted = polling.next(after: .answered(answer(200, "{}"))) else {
            Issue.record("a 2xx without an error is an answer")
            return
        }
    }
}
