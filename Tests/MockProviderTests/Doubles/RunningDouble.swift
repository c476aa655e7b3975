import FoundationEssentials
import Logging
import ServiceLifecycle

@testable import MockProvider

/// Runs a double for the length of `body`.
func withDouble<Result: Sendable>(
    _ configuration: DoubleConfiguration, _ body: @Sendable (ProviderDouble, RawHTTPClient) async throws -> Result
) async throws -> Result {
    let double = ProviderDouble(configuration, logger: .quiet)
    let group = ServiceGroup(configuration: .init(services: [double], logger: .quiet))
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        do {
            let port = try await double.waitUntilListening()
            let result = try await body(double, RawHTTPClient(target: .port(port)))
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return result
        } catch {
            await group.triggerGracefulShutdown()
            throw error
        }
    }
}

/// A form as clients write it.
func formBody(_ fields: KeyValuePairs<String, String>) -> String {
    func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: String(UnicodeScalar(byte))
            case 0x20: "+"
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
    return fields.map { "\(encoded($0.key))=\(encoded($0.value))" }.joined(separator: "&")
}

func jsonBody(_ fields: [String: String]) throws -> String {
    String(decoding: try JSONEncoder().encode(fields), as: UTF8.self)
}

/// What tests read out of a token answer.
struct IssuedTokens: Decodable {
    var accessToken: String
    var refreshToken: String?
    var expiresIn: Int?

    private enum CodingKeys: String, CodingKey {
        case accessToken = "access_token"
        case refreshToken = "refresh_token"
        case expiresIn = "expires_in"
    }
}
