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
        #expect(pause(.answered(answer(503, "busy"))) == .seconds(13))
        #expect(pause(.unanswered("lost")) == .seconds(26))
        for _ in 0..<10 { _ = pause(.unsent("no route")) }
        #expect(polling.interval == .seconds(120))
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
            Issue.record("a 2xx is an answer")
            return
        }
    }
}
