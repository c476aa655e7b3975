#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What an instance answers to `GET /v1/accounts/{id}/token`, as far as the load looks at it.
struct TokenReading: Sendable, Equatable {
    var accessToken: String
    /// Seconds since 1970, rounded down by the instance.
    var expiresAt: Int64
    var generation: Int64
    /// `memory`, `redis` or `refresh`.
    var source: String

    private struct Form: Decodable {
        var accessToken: String
        var expiresAt: String
        var generation: Int64
        var source: String

        private enum CodingKeys: String, CodingKey {
            case accessToken = "access_token"
            case expiresAt = "expires_at"
            case generation, source
        }
    }

    /// Nil for anything that is no token answer.
    init?(_ body: [UInt8]) {
        guard let form = try? JSONDecoder().decode(Form.self, from: Data(body)), !form.accessToken.isEmpty,
            let time = try? Date(form.expiresAt, strategy: .iso8601)
        else { return nil }
        accessToken = form.accessToken
        expiresAt = Int64(time.timeIntervalSince1970)
        generation = form.generation
        source = form.source
    }

    init(accessToken: String, expiresAt: Int64, generation: Int64, source: String) {
        (self.accessToken, self.expiresAt, self.generation, self.source) = (accessToken, expiresAt, generation, source)
    }

    /// Whether the caller had to wait for a refresh.
    var hasWaited: Bool { source == "refresh" }

    /// Whether the token had certainly ended: the time is told in whole seconds, so the last one is in doubt.
    func isExpired(at now: Double) -> Bool { now >= Double(expiresAt + 1) }

    /// In doubt, or close to it: then only using the token tells.
    func isDoubtful(at now: Double) -> Bool { now >= Double(expiresAt - 1) }
}
