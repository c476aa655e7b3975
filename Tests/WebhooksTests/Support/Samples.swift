import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

@testable import Webhooks

enum Sample {
    static let start = WallTime(milliseconds: 1_800_000_000_000)

    /// - Parameter number: its place in the stream, a millisecond each.
    static func event(
        _ number: Int, _ type: String = "account.paused", account: String? = "alice", partition: Int = 0,
        at: WallTime? = nil, _ fields: [FleetEvent.Field] = []
    ) -> FleetEvent {
        let at = at ?? start + .milliseconds(number)
        return FleetEvent(
            partition: partition,
            position: .init(milliseconds: UInt64(start.milliseconds) + UInt64(number), sequence: 0), at: at, type: type,
            fields: (account.map { [.init("account", $0), .init("provider", "acme")] } ?? []) + fields)
    }

    static func endpoint(_ name: String = "ops") -> WebhookEndpoint {
        WebhookEndpoint(name: name, url: Secret("https://hooks.example.com/services/T0/planted-token"))
    }
}

/// Any JSON, for a look at what templates make.
indirect enum JSON: Decodable, Hashable {
    case object([String: JSON]), array([JSON]), text(String), number(Double), flag(Bool), null

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let array = try? container.decode([JSON].self) {
            self = .array(array)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    static func parse(_ bytes: [UInt8]) throws -> JSON { try JSONDecoder().decode(JSON.self, from: Data(bytes)) }

    subscript(name: String) -> JSON? {
        if case .object(let members) = self { return members[name] }
        return nil
    }

    var text: String? {
        if case .text(let text) = self { return text }
        return nil
    }
}
