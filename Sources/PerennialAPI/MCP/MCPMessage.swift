import JSONText

/// A message of JSON-RPC 2.0 as the Model Context Protocol uses it.
enum MCPMessage: Sendable {
    /// Wants an answer under its id.
    case request(id: MCPRequestID, method: String, parameters: JSONValue?)
    /// Wants none.
    case notification(method: String)
    /// An answer to a request, of which this server sends none.
    case response

    /// - Throws: ``MCPError`` for what is no message, with its id where it has one.
    init(_ value: JSONValue) throws(MCPError) {
        guard case .object = value else { throw MCPError(.invalidRequest, "a message is a JSON object") }
        var id: MCPRequestID?
        switch value["id"] {
        case .none: break
        case .string(let text) where text.utf8.count <= MCPRequestID.maximumLength: id = .text(text)
        case .integer(let number): id = .number(number)
        default:
            throw MCPError(
                .invalidRequest,
                "id has to be a string of at most \(MCPRequestID.maximumLength) bytes or a whole number")
        }
        guard value["jsonrpc"] == .string("2.0") else {
            throw MCPError(.invalidRequest, "jsonrpc has to be \"2.0\"", id: id)
        }
        switch value["method"] {
        case .string(let method):
            guard let id else {
                self = .notification(method: method)
                return
            }
            switch value["params"] {
            case .none, .null: self = .request(id: id, method: method, parameters: nil)
            case .object(let members): self = .request(id: id, method: method, parameters: .object(members))
            case .some: throw MCPError(.invalidRequest, "params has to be an object", id: id)
            }
        case .none where id != nil && (value["result"] != nil || value["error"] != nil): self = .response
        default: throw MCPError(.invalidRequest, "method has to be a string", id: id)
        }
    }
}

/// What an answer is found by. Never null in this protocol.
enum MCPRequestID: Sendable, Hashable {
    static let maximumLength = 1024

    case text(String)
    case number(Int64)
}

/// A message that is answered with an error instead of a result (JSON-RPC 2.0 §5.1).
struct MCPError: Error, Sendable, Hashable {
    enum Code: Int64, Sendable {
        case parseError = -32700
        case invalidRequest = -32600
        case methodNotFound = -32601
        case invalidParameters = -32602
        /// Of revision 2026-07-28, in which clients name the revision with each request.
        case unsupportedProtocolVersion = -32022
    }

    var code: Code
    var message: String
    var id: MCPRequestID?

    init(_ code: Code, _ message: String, id: MCPRequestID? = nil) {
        self.code = code
        self.message = message
        self.id = id
    }
}

/// Answers as JSON.
enum MCPReply {
    static func result(of id: MCPRequestID, _ body: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        writer.object { writer in
            begin(id, &writer)
            writer.key("result")
            writer.object(body)
        }
        return writer.bytes
    }

    static func error(_ error: MCPError) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            begin(error.id, &writer)
            writer.key("error")
            writer.object { writer in
                writer.key("code")
                writer.integer(error.code.rawValue)
                writer.key("message")
                writer.string(error.message)
                guard error.code == .unsupportedProtocolVersion else { return }
                writer.key("data")
                writer.object { writer in
                    writer.key("supported")
                    writer.array(MCPRevision.allCases) { $0.string($1.rawValue) }
                }
            }
        }
        return writer.bytes
    }

    private static func begin(_ id: MCPRequestID?, _ writer: inout JSONWriter) {
        writer.key("jsonrpc")
        writer.string("2.0")
        writer.key("id")
        switch id {
        case .text(let text): writer.string(text)
        case .number(let number): writer.integer(number)
        case nil: writer.null()
        }
    }
}

/// The revisions of the protocol that begin with a handshake.
enum MCPRevision: String, Sendable, Hashable, CaseIterable, Comparable {
    case march2025 = "2025-03-26"
    case june2025 = "2025-06-18"
    case november2025 = "2025-11-25"

    static let newest = MCPRevision.november2025

    static func < (lhs: MCPRevision, rhs: MCPRevision) -> Bool { lhs.rawValue < rhs.rawValue }
}
