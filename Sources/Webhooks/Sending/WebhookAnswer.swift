import CurlClient
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a receiver's answer means.
enum WebhookAnswer {
    static func result(_ response: CurlResponse, format: BodyFormat?, now: WallTime) -> DeliveryResult {
        let status = response.status
        switch status {
        case 200..<300:
            return chatResult(response, format: format)
        case 410: return .gone
        case 400, 413, 415, 422: return .rejected("HTTP \(status)")
        case 300..<400: return .failed("HTTP \(status): redirects are not followed, write the URL that it leads to")
        default: return .failed("HTTP \(status)", retryAfter: retryAfter(response, now: now))
        }
    }

    // MARK: Chat services

    /// What chat services say in their bodies.
    private struct Body: Decodable {
        struct Parameters: Decodable {
            var retryAfter: Double?

            private enum CodingKeys: String, CodingKey { case retryAfter = "retry_after" }
        }
        /// Feishu, now and formerly.
        var code: Int?
        var statusCode: Int?
        /// DingTalk and WeCom.
        var errcode: Int?
        /// Telegram and Discord.
        var parameters: Parameters?
        var retryAfter: Double?

        private enum CodingKeys: String, CodingKey {
            case code, errcode, parameters
            case statusCode = "StatusCode"
            case retryAfter = "retry_after"
        }
    }

    /// Feishu, DingTalk and WeCom answer 200 whatever happened, and say in the body what did.
    private static func chatResult(_ response: CurlResponse, format: BodyFormat?) -> DeliveryResult {
        let code: Int?
        let busy: Set<Int>
        switch format {
        case .feishu:
            let body = decode(response)
            (code, busy) = (body?.code ?? body?.statusCode, [9499, 11232])
        case .dingtalk: (code, busy) = (decode(response)?.errcode, [-1, 130101, 410100])
        case .wecom: (code, busy) = (decode(response)?.errcode, [-1, 45009])
        default: return .delivered
        }
        switch code {
        case 0: return .delivered
        case .some(let code) where busy.contains(code):
            return .failed("error code \(code): too many messages", retryAfter: .seconds(60))
        case .some(let code): return .rejected("error code \(code)")
        case nil: return .failed("an answer without an error code: is this the right URL?")
        }
    }

    private static func decode(_ response: CurlResponse) -> Body? {
        try? JSONDecoder().decode(Body.self, from: Data(response.body))
    }

    // MARK: Retry-After

    /// Seconds or a date (RFC 9110 §10.2.3); Telegram and Discord say it in the body.
    static func retryAfter(_ response: CurlResponse, now: WallTime) -> Duration? {
        if let text = response.first("retry-after") {
            if let seconds = Double(text), seconds.isFinite, seconds >= 0 {
                return .milliseconds(Int64(min(seconds, 86_400) * 1000))
            }
            if let date = httpDate(text) { return max(WallTime(seconds: date) - now, .zero) }
        }
        let body = decode(response)
        guard let seconds = body?.parameters?.retryAfter ?? body?.retryAfter, seconds.isFinite, seconds >= 0 else {
            return nil
        }
        return .milliseconds(Int64(min(seconds, 86_400) * 1000))
    }

    /// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
    private static func httpDate(_ text: String) -> Double? {
        let words = text.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard words.count == 6, let day = Int(words[1]), let month = months.firstIndex(of: String(words[2])),
            let year = Int(words[3]), words[5] == "GMT"
        else { return nil }
        func digits(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
        return try? Date("\(year)-\(digits(month + 1))-\(digits(day))T\(words[4])Z", strategy: .iso8601)
            .timeIntervalSince1970
    }
}
