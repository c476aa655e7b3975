import JSONText
import RefreshCore

/// Speaks the Model Context Protocol (modelcontextprotocol.io) with assistants: what the accounts and pools are like, and a
/// refresh, as tools. Never a token.
///
/// Stateless: it remembers nothing between two messages, so that any instance can answer any of them. Used by `POST /mcp` and
/// by `perennial mcp`.
public struct MCPServer: Sendable {
    /// What the one who sends may do.
    public typealias Permission = @Sendable (Scope) -> Bool

    /// Longest message, in bytes.
    public static let maximumMessage = APIRequest.maximumBody
    /// Most messages in one batch.
    static let largestBatch = 50

    private let backend: APIBackend

    public init(backend: APIBackend) {
        self.backend = backend
    }

    /// The answer to what one line of standard input, or one HTTP request, holds; nil where none is wanted.
    public func answer(_ bytes: [UInt8], allows: Permission) async -> [UInt8]? {
        await answer(bytes, takesBatches: true, allows: allows)
    }

    /// - Parameter takesBatches: revisions after 2025-03-26 know none.
    func answer(_ bytes: [UInt8], takesBatches: Bool, allows: Permission) async -> [UInt8]? {
        guard bytes.count <= Self.maximumMessage else {
            return MCPReply.error(
                MCPError(.invalidRequest, "the message has more than \(Self.maximumMessage) bytes"))
        }
        let value: JSONValue
        do {
            value = try JSONReader.parse(bytes)
        } catch {
            return MCPReply.error(MCPError(.parseError, "this is not JSON: \(error)"))
        }
        guard case .array(let messages) = value else { return await answer(value, allows) }
        guard takesBatches, (1...Self.largestBatch).contains(messages.count) else {
            return MCPReply.error(
                MCPError(
                    .invalidRequest,
                    takesBatches
                        ? "a batch has 1 to \(Self.largestBatch) messages"
                        : "batches are of revision 2025-03-26 only: send one message"))
        }
        var answers: [[UInt8]] = []
        for message in messages {
            if let answer = await answer(message, allows) { answers.append(answer) }
        }
        return answers.isEmpty ? nil : [0x5B] + answers.joined(separator: [0x2C]) + [0x5D]
    }

    private func answer(_ value: JSONValue, _ allows: Permission) async -> [UInt8]? {
        do {
            switch try MCPMessage(value) {
            case .request(let id, let method, let parameters): return try await perform(id, method, parameters, allows)
            case .notification, .response: return nil
            }
        } catch {
            return MCPReply.error(error)
        }
    }

    private func perform(
        _ id: MCPRequestID, _ method: String, _ parameters: JSONValue?, _ allows: Permission
    ) async throws(MCPError) -> [UInt8] {
        switch method {
        case "initialize": return initialize(id, parameters)
        case "ping": return MCPReply.result(of: id) { _ in }
        case "tools/list":
            guard Self.given(parameters?["cursor"]) == nil else {
                throw MCPError(.invalidParameters, "there is one page of tools only: leave cursor out", id: id)
            }
            return MCPReply.result(of: id) { writer in
                writer.key("tools")
                writer.array(MCPTool.allCases.filter { allows($0.scope) }) { $1.write(to: &$0) }
            }
        case "tools/call": return try await call(id, parameters, allows)
        default:
            throw MCPError(
                .methodNotFound, "there is no such method here: initialize, ping, tools/list and tools/call", id: id)
        }
    }

    /// The revision that the client wants, or the newest one where that is not known here: the client decides then.
    private func initialize(_ id: MCPRequestID, _ parameters: JSONValue?) -> [UInt8] {
        var revision = MCPRevision.newest
        if case .string(let wanted) = parameters?["protocolVersion"] {
            revision = MCPRevision(rawValue: wanted) ?? revision
        }
        return MCPReply.result(of: id) { writer in
            writer.key("protocolVersion")
            writer.string(revision.rawValue)
            writer.key("capabilities")
            writer.object { writer in
                writer.key("tools")
                writer.object { _ in }
            }
            writer.key("serverInfo")
            writer.object { writer in
                writer.key("name")
                writer.string("perennial")
                writer.key("title")
                writer.string("Perennial")
                writer.key("version")
                writer.string(backend.version)
            }
            writer.key("instructions")
            writer.string(
                """
                Perennial keeps OAuth and API tokens of accounts fresh. list_accounts and token_status show them, \
                refresh_token replaces a token that was refused, pool_status shows groups of accounts. No tool shows a token.
                """)
        }
    }

    private func call(
        _ id: MCPRequestID, _ parameters: JSONValue?, _ allows: Permission
    ) async throws(MCPError) -> [UInt8] {
        guard case .string(let name) = parameters?["name"], let tool = MCPTool(rawValue: name) else {
            let names = MCPTool.allCases.map(\.rawValue).joined(separator: ", ")
            throw MCPError(.invalidParameters, "name has to be that of a tool: \(names)", id: id)
        }
        let result: [UInt8]
        do throws(Problem) {
            guard allows(tool.scope) else {
                throw Problem(.insufficientScope, "this needs a caller key with the scope \"\(tool.scope.rawValue)\"")
            }
            var arguments = try JSONFields(Self.given(parameters?["arguments"]) ?? .object([]), what: "arguments")
            result = try await MCPToolbox(backend: backend).use(tool, &arguments)
        } catch {
            // Of the tool, not of the protocol: an assistant reads it and can do something about it.
            return failure(id, error)
        }
        return MCPReply.result(of: id) { writer in
            Self.writeText(String(decoding: result, as: UTF8.self), to: &writer)
            writer.key("structuredContent")
            writer.json(result)
            writer.key("isError")
            writer.bool(false)
        }
    }

    /// Some clients write null for what they leave out.
    private static func given(_ value: JSONValue?) -> JSONValue? { value == .null ? nil : value }

    private func failure(_ id: MCPRequestID, _ problem: Problem) -> [UInt8] {
        let wait = problem.retryAfter(now: backend.time.wall()).map { "; try again in \($0) s" } ?? ""
        return MCPReply.result(of: id) { writer in
            Self.writeText("\(problem.code.rawValue): \(problem.detail)\(wait)", to: &writer)
            writer.key("isError")
            writer.bool(true)
        }
    }

    private static func writeText(_ text: String, to writer: inout JSONWriter) {
        writer.key("content")
        writer.array([text]) { writer, text in
            writer.object { writer in
                writer.key("type")
                writer.string("text")
                writer.key("text")
                writer.string(text)
            }
        }
    }
}
