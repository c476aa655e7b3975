import HTTPTypes
import NIOCore

/// Answers that no provider documents and every network delivers some day.
public enum HostileAnswer: String, Sendable, Hashable, CaseIterable {
    case html = "HTML with 200"
    case htmlError = "HTML with 502"
    case redirect = "a redirect to a login page"
    case empty = "an empty body with 200"
    case list = "a JSON list"
    case huge = "a token of 10 MB"
    case wrongContentType = "JSON that calls itself HTML"
    case nanExpiry = "expires_in NaN"
    case nanTextExpiry = "expires_in \"NaN\""
    case negativeExpiry = "expires_in below zero"
    case endlessExpiry = "expires_in 1e308"
    case newlineInAccessToken = "an access token with line feeds"
    case newlineInRefreshToken = "a refresh token with line feeds"
    case numberAsToken = "a number as access token"
    case emptyToken = "an empty access token"
    case noToken = "no access token"
    case deeplyNested = "JSON nested 100,000 deep"
    case invalidText = "bytes that are no UTF-8"
    case truncated = "a body that ends early"
    case dropped = "a connection that closes without an answer"

    /// Whether good tokens are in it, so that the old refresh token is spent where the provider rotates. Whoever sends
    /// one of the others has not looked at the request, or has kept what it issued to itself.
    public var isServed: Bool {
        switch self {
        case .wrongContentType, .nanTextExpiry, .negativeExpiry, .endlessExpiry: true
        default: false
        }
    }

    /// The header that a token with line feeds would smuggle in.
    public static let smuggledHeader = "X-Smuggled"

    /// Needs no look for characters to escape, which takes seconds where nothing is optimised.
    private static let hugeText = DoubleJSON.raw("\"" + String(repeating: "a", count: 10 << 20) + "\"")

    /// What the tokens of the answer become.
    func spoil(_ issue: inout DoubleIssue) {
        let smuggled: DoubleJSON = "abc\r\n\(HostileAnswer.smuggledHeader): 1\r\n\r\n"
        switch self {
        case .huge: issue.accessToken = Self.hugeText
        case .nanExpiry: issue.expiry = .raw("NaN")
        case .nanTextExpiry: issue.expiry = "NaN"
        case .negativeExpiry: issue.expiry = -86_400
        case .endlessExpiry: issue.expiry = .raw("1e308")
        case .newlineInAccessToken: issue.accessToken = smuggled
        case .newlineInRefreshToken: issue.refreshToken = smuggled
        case .numberAsToken: issue.accessToken = 1_234_567_890
        case .emptyToken: issue.accessToken = ""
        case .noToken: issue.accessToken = nil
        default: break
        }
    }

    /// What an answer with those tokens becomes.
    func spoil(_ reply: inout MockReply) {
        let page = ByteBuffer(string: "<!DOCTYPE html><title>Sign in</title><p>We will be back soon.\n")
        switch self {
        case .html: reply = MockReply(.ok, headers: MockReply.htmlHeaders, body: page)
        case .htmlError: reply = MockReply(.badGateway, headers: MockReply.htmlHeaders, body: page)
        case .redirect:
            reply = MockReply(.found, headers: MockReply.htmlHeaders, body: page)
            reply.headers[.location] = "/login"
        case .empty: reply.body = ByteBuffer()
        case .list: reply.body = ByteBuffer(string: "[]")
        case .wrongContentType: reply.headers[.contentType] = "text/html"
        case .deeplyNested:
            reply.body = ByteBuffer(
                string: String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000))
        case .invalidText:
            reply.body.writeBytes([0x22, 0xFF, 0xFE, 0xC0, 0x80, 0x00])
        case .truncated: reply.delivery = .truncated
        case .dropped: reply.delivery = .dropped
        default: break
        }
    }
}
