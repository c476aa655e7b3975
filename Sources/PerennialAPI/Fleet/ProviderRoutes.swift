import HTTPTypes
import RefreshCore

/// `/v1/providers`: the providers of the configuration, and whether the fleet asks them at present.
struct ProviderRoutes: Sendable {
    let backend: APIBackend

    func list(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        try RequestQuery(api.query).finish(allowed: [])
        let conditions: [ProviderCondition]
        do {
            conditions = try await backend.providers.conditions(of: backend.policies.providers)
        } catch {
            throw Problem(error)
        }
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("providers")
            writer.array(conditions) { write($1, to: &$0) }
        }
        return APIAnswer(body: writer.bytes)
    }

    private func write(_ condition: ProviderCondition, to writer: inout JSONWriter) {
        let policy = backend.policies.policy(for: condition.provider)
        writer.object { writer in
            writer.key("name")
            writer.string(condition.provider.rawValue)
            writer.key("circuit")
            writer.string(condition.circuit.rawValue)
            writer.key("failures")
            writer.integer(Int64(condition.failures))
            writer.key("paused_until")
            writer.time(Timestamp(condition.pausedUntil))
            writer.key("cause")
            if let cause = condition.cause {
                writer.object { writer in
                    writer.key("kind")
                    writer.string(cause.kind.rawValue)
                    writer.key("message")
                    writer.string(cause.message)
                }
            } else {
                writer.null()
            }
            writer.key("rate_limit")
            if let limit = policy?.rateLimit {
                writer.object { writer in
                    writer.key("requests")
                    writer.integer(Int64(limit.requests))
                    writer.key("per_seconds")
                    writer.integer(limit.per.wholeMilliseconds / 1000)
                    writer.key("burst")
                    writer.integer(Int64(limit.burst))
                }
            } else {
                writer.null()
            }
        }
    }
}
