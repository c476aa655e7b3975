import FoundationEssentials
import NIOCore

/// Reads the bodies of `/admin/…` and says clearly what is wrong with them.
enum AdminEndpoint {
    /// The body of `POST /admin/accounts`.
    struct Seed: Decodable, Equatable {
        var count: Int
        var prefix: String
        var first: Int
        /// Seconds; nil for the configured lifetime.
        var lifetime: Double?
        var expired: Bool
        var provider: String

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case count, prefix, first, lifetime, expired, provider
        }

        init(from decoder: any Decoder) throws {
            try decoder.refuseUnknownKeys(besides: CodingKeys.allCases.map(\.rawValue))
            let container = try decoder.container(keyedBy: CodingKeys.self)
            count = try container.decode(Int.self, forKey: .count)
            prefix = try container.decodeIfPresent(String.self, forKey: .prefix) ?? "acct-"
            first = try container.decodeIfPresent(Int.self, forKey: .first) ?? 1
            lifetime = try container.decodeIfPresent(Double.self, forKey: .lifetime)
            expired = try container.decodeIfPresent(Bool.self, forKey: .expired) ?? false
            provider = try container.decodeIfPresent(String.self, forKey: .provider) ?? "mock"
            func require(_ condition: Bool, _ message: String) throws {
                guard condition else { throw MockProviderError(.invalidRequest, message) }
            }
            try require((1...1_000_000).contains(count), "count must be between 1 and 1,000,000")
            try require((0...1_000_000_000_000_000).contains(first), "first must be between 0 and 10^15")
            try require(prefix.utf8.count <= 200, "prefix must have at most 200 bytes")
            try require(
                lifetime.map { $0 > 0 && $0 <= 3.2e8 } ?? true, "lifetime must be above 0 s and at most 10 years")
            try require(!expired || lifetime == nil, "give lifetime or expired, not both")
        }

        /// Lifetime of the first access tokens.
        var firstLifetime: Duration? {
            if expired { return .seconds(-1) }
            return lifetime.map { .milliseconds(Int64(($0 * 1000).rounded())) }
        }
    }

    /// The body of `POST /admin/revoke`.
    struct Revoke: Decodable, Equatable {
        var account: String

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case account
        }

        init(from decoder: any Decoder) throws {
            try decoder.refuseUnknownKeys(besides: CodingKeys.allCases.map(\.rawValue))
            account = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .account)
        }
    }

    /// Decodes a body.
    ///
    /// - Throws: ``MockProviderError`` whose message names the field.
    static func decode<Value: Decodable>(_ type: Value.Type, from body: ByteBuffer) throws(MockProviderError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body.readableBytesView))
        } catch let error as MockProviderError {
            throw error
        } catch let error as DecodingError {
            throw MockProviderError(.invalidRequest, describe(error))
        } catch {
            throw MockProviderError(.invalidRequest, "the body cannot be read as JSON")
        }
    }

    private static func describe(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            let keys = context.codingPath + (last.map { [$0] } ?? [])
            return keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context): return "\(path(context, key)) is missing"
        case .valueNotFound(_, let context): return "\(path(context)) must not be null"
        case .typeMismatch(let type, let context):
            let place = path(context)
            return "\(place.isEmpty ? "the body" : place) has the wrong type: expected \(expectation(type))"
        case .dataCorrupted(let context):
            let place = path(context)
            return place.isEmpty ? "the body is not valid JSON" : "\(place): \(context.debugDescription)"
        @unknown default: return "the body cannot be read as JSON"
        }
    }

    private static func expectation(_ type: any Any.Type) -> String {
        if type == Int.self || type == Double.self { return "a number" }
        if type == String.self { return "a string" }
        if type == Bool.self { return "true or false" }
        if type is any ExpressibleByArrayLiteral.Type { return "a list" }
        return "an object"
    }
}
