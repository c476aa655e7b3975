public import RefreshCore

/// A header field as it came or goes.
public typealias HeaderField = (name: String, value: String)

/// Which of the caller's headers go to the upstream, and which of the upstream's come back.
public struct HeaderPolicy: Sendable, Hashable {
    public struct Fixed: Sendable, Hashable {
        public var name: String
        public var value: Secret

        public init(name: String, value: Secret) {
            self.name = name
            self.value = value
        }
    }

    /// Names in lower case; a `*` at the end stands for anything. Nil: all that are not denied.
    public var allow: [String]?
    public var deny: [String] = []
    /// Sent with every call, instead of the caller's.
    public var set: [Fixed] = []
    /// Of the answer.
    public var denyInAnswer: [String] = []

    public init() {}

    /// Whether the route lets a request header through; `name` in lower case.
    func passes(_ name: String) -> Bool {
        if let allow, !Self.matches(allow, name) { return false }
        return !Self.matches(deny, name)
    }

    func passesInAnswer(_ name: String) -> Bool { !Self.matches(denyInAnswer, name) }

    private static func matches(_ patterns: [String], _ name: String) -> Bool {
        patterns.contains { $0.hasSuffix("*") ? name.hasPrefix($0.dropLast()) : name == $0 }
    }
}

/// The headers that concern one connection only (RFC 9110 §7.6.1), or that are made anew on the other side.
enum HopByHop {
    static let fields: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "http2-settings",
    ]

    /// Those that a `Connection` header names besides, in lower case.
    static func named(in headers: [HeaderField]) -> Set<String> {
        var names: Set<String> = []
        for field in headers where field.name.utf8.count == 10 && field.name.lowercased() == "connection" {
            for name in field.value.split(separator: ",") {
                let name = name.trimmingBlanks.lowercased()
                if !name.isEmpty, name != "close", name != "keep-alive" { names.insert(name) }
            }
        }
        return names
    }
}

extension StringProtocol {
    /// Without blanks and tabs at both ends.
    var trimmingBlanks: String {
        let bytes = Array(utf8)
        let start = bytes.firstIndex { $0 != 0x20 && $0 != 0x09 } ?? bytes.endIndex
        let end = bytes.lastIndex { $0 != 0x20 && $0 != 0x09 }.map { $0 + 1 } ?? start
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }
}
