import HTTPTypes
import RefreshCore

/// `POST /mcp`: the streamable HTTP transport of the Model Context Protocol, without sessions and without streams: each
/// request gets its answer as JSON, and any instance can give it.
struct MCPRoutes: Sendable {
    let backend: APIBackend
    let gatekeeper: Gatekeeper

    func post(_ api: APIRequest, _ evidence: CallerEvidence) async throws(Problem) -> APIAnswer {
        try checkOrigin(evidence)
        try checkAccept(api.headers)
        let body = try await api.body()
        var revision = MCPRevision.march2025
        if let text = api.headers[.mcpProtocolVersion] {
            guard let known = MCPRevision(rawValue: text) else {
                let names = MCPRevision.allCases.map(\.rawValue).joined(separator: ", ")
                let error = MCPError(
                    .unsupportedProtocolVersion, "MCP-Protocol-Version has to be one of \(names): begin with initialize"
                )
                return APIAnswer(status: .badRequest, body: MCPReply.error(error))
            }
            revision = known
        }
        let answer = await MCPServer(backend: backend).answer(body, takesBatches: revision == .march2025) { scope in
            (try? gatekeeper.admit(evidence, needing: scope)) != nil
        }
        guard let answer else { return APIAnswer(status: .accepted) }
        return APIAnswer(body: answer, isSecret: true)
    }

    /// Against DNS rebinding, with or without callers' keys: a page of another site is not answered.
    private func checkOrigin(_ evidence: CallerEvidence) throws(Problem) {
        guard let origin = evidence.origin, !evidence.isLocalSocket else { return }
        guard let host = evidence.host, Gatekeeper.isOrigin(origin, of: host) else {
            throw Problem(.forbiddenOrigin, "requests of web pages of another origin are refused here")
        }
    }

    /// Clients have to take JSON and streams; JSON is what they get.
    private func checkAccept(_ headers: HTTPFields) throws(Problem) {
        guard let accept = headers[.accept] else { return }
        let types = accept.split(separator: ",").map { type in
            type.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }.lowercased()
        }
        guard types.contains(where: { ["application/json", "application/*", "*/*"].contains($0) }) else {
            throw Problem(.notAcceptable, "accept application/json: answers are JSON here")
        }
    }
}

extension HTTPField.Name {
    static let mcpProtocolVersion = known("MCP-Protocol-Version")
}
