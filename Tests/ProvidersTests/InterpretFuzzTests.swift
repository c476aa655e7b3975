import Providers
import RefreshCore
import Testing

/// Whatever a provider answers, `interpret` comes back, hands out only tokens that are fit for a header, and says
/// nothing that could be a token.
struct InterpretFuzzTests {
    private static let statuses = [0, 99, 200, 201, 204, 301, 400, 401, 403, 404, 408, 429, 500, 503, 529, 600]
    private static let templates = [
        #"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"}"#,
        #"{"access_token":"a.eyJleHAiOjF9.c","expires_at":"2027-01-15T08:01:00Z"}"#,
        #"{"error":"invalid_grant","error_description":"Refresh token not found: tGzv3JOkF0XG5Qx2TlKWIA"}"#,
        #"{"type":"error","error":{"type":"rate_limit_error","code":"x","message":"later"}}"#,
    ]
    private static let pieces: [[UInt8]] =
        [
            "\"", "\\", "{", "}", "[", "]", ":", ",", "null", "1e999", "-", "\u{0}", "\r\n", "\\u0000", "\\ud800", "é",
            "\u{202E}", " ",
        ]
        .map { Array($0.utf8) } + [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xEF, 0xBB, 0xBF], [0xFE, 0xFF]]

    private func check(_ outcome: ExchangeOutcome, seed: UInt64) {
        if let grant = outcome.grant {
            for token in [grant.accessToken, grant.refreshToken].compactMap({ $0 }) {
                #expect(throws: Never.self, "seed \(seed)") { try InvalidToken.check(token, field: "token") }
            }
            #expect(
                grant.tokenType.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && !grant.tokenType.isEmpty, "seed \(seed)")
            #expect(grant.expiresAt > requestedAt, "seed \(seed)")
        } else {
            let message = outcome.message
            #expect(!message.contains("tGzv3JOkF0XG5Qx2TlKWIA"), "seed \(seed): \(message)")
            #expect(message.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }, "seed \(seed)")
            #expect(message.count < 300, "seed \(seed)")
        }
    }

    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func `mutated answers`(seed: UInt64) throws {
        let interpret = try Interpreting()
        var generator = SplitMix64(seed: seed)
        for _ in 0..<1500 {
            var body = Array((Self.templates.randomElement(using: &generator) ?? "").utf8)
            for _ in 0..<Int.random(in: 1...5, using: &generator) {
                let at = Int.random(in: 0...body.count, using: &generator)
                let piece = Self.pieces.randomElement(using: &generator) ?? []
                switch Int.random(in: 0...3, using: &generator) {
                case 0: body.insert(contentsOf: piece, at: at)
                case 1: body.replaceSubrange(at..<min(at + 1, body.count), with: piece)
                case 2: body.removeSubrange(at..<min(at + Int.random(in: 0...9, using: &generator), body.count))
                default: body = Array(body[..<at])
                }
            }
            let retry = String(decoding: Self.pieces.randomElement(using: &generator) ?? [], as: UTF8.self)
            let response = RawTokenResponse(
                status: Self.statuses.randomElement(using: &generator) ?? 200,
                headers: [.init(name: "Retry-After", value: retry), .init(name: "Date", value: retry)], body: body,
                requestedAt: requestedAt)
            check(
                try interpret(response, ["oauth2", "claude", "gemini"].randomElement(using: &generator) ?? ""),
                seed: seed)
        }
    }

    @Test(arguments: [21, 22] as [UInt64])
    func `random bytes`(seed: UInt64) throws {
        let interpret = try Interpreting()
        var generator = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let count = Int.random(in: 0...200, using: &generator)
            let body = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            for status in [200, 400, 503] {
                check(
                    try interpret(.init(status: status, headers: [], body: body, requestedAt: requestedAt)), seed: seed)
            }
        }
    }

    enum Monster: CaseIterable {
        case deepArrays, blanks, deepObjects, deepErrors, longToken

        var body: [UInt8] {
            switch self {
            case .deepArrays: [UInt8](repeating: UInt8(ascii: "["), count: 900_000)
            case .blanks: [UInt8](repeating: 0x20, count: 10_000_000)
            case .deepObjects: Array(#"{"a":"#.utf8) + [UInt8](repeating: UInt8(ascii: "{"), count: 100_000)
            case .deepErrors: Array(String(repeating: #"{"error":"#, count: 50_000).utf8)
            case .longToken: Array("{\"access_token\":\"\(String(repeating: "a", count: 900_000))\"}".utf8)
            }
        }
    }

    @Test(arguments: Monster.allCases)
    func `huge and deep answers`(monster: Monster) throws {
        let interpret = try Interpreting()
        let body = monster.body
        for status in [200, 400, 500] {
            let outcome = try interpret(.init(status: status, headers: [], body: body, requestedAt: requestedAt))
            #expect(outcome.kind == (status == 400 ? "misconfigured" : "ambiguous"))
        }
    }
}
