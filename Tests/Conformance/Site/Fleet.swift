import CurlClient
import FoundationEssentials
import PerennialServers

/// The instances of Perennial, through their API.
struct Fleet: Sendable {
    let instances: [PerennialInstance]
    let http: CurlClient

    /// One of them, in turn.
    func instance(_ number: Int) -> PerennialInstance { instances[number % instances.count] }

    /// Adds an account, or gives one that exists new credentials.
    func put(_ id: String, _ body: AccountBody, through number: Int) async throws {
        let answer = try await send("PUT", "/v1/accounts/\(id)", body: try JSONEncoder().encode(body), through: number)
        guard (200...201).contains(answer.status) else {
            throw ServerFailure(
                "PUT of account \(id) was answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
        }
    }

    func account(_ id: String, through number: Int) async throws -> AccountView {
        let answer = try await send("GET", "/v1/accounts/\(id)", through: number)
        guard answer.status == 200 else {
            throw ServerFailure(
                "account \(id) was answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
        }
        return try JSONDecoder().decode(AccountView.self, from: Data(answer.body))
    }

    func token(_ id: String, through number: Int) async throws -> TokenReply {
        try reply(await send("GET", "/v1/accounts/\(id)/token", through: number))
    }

    /// - Parameter generation: refresh only if that is the newest; nil: in any case, at once.
    func refresh(_ id: String, ifGeneration generation: Int64? = nil, through number: Int) async throws -> TokenReply {
        let body = generation.map { Data("{\"if_generation\":\($0)}".utf8) } ?? Data()
        return try reply(await send("POST", "/v1/accounts/\(id)/refresh", body: body, through: number))
    }

    private struct Problem: Decodable {
        var code: String?
        var type: String?
    }

    private func reply(_ answer: CurlResponse) throws -> TokenReply {
        let body = Data(answer.body)
        let document = answer.status == 200 ? try? JSONDecoder().decode(TokenReply.Document.self, from: body) : nil
        let problem = answer.status == 200 ? nil : try? JSONDecoder().decode(Problem.self, from: body)
        return TokenReply(
            status: answer.status, code: problem.flatMap { $0.code ?? $0.type },
            retryAfter: answer.first("Retry-After"),
            document: document, headers: answer.headers)
    }

    private func send(
        _ method: String, _ path: String, body: Data? = nil, through number: Int
    ) async throws -> CurlResponse {
        try await http.execute(
            CurlRequest(
                method: method, url: instance(number).origin + path,
                headers: body.map { $0.isEmpty ? [] : [("Content-Type", "application/json")] } ?? [],
                body: body.map { Array($0) }, connectTimeout: .seconds(20), totalTimeout: .seconds(60)))
    }
}
