import HTTPTypes
import RefreshCore

/// `/v1/instances`, `/livez`, `/readyz` and `/metrics`.
struct FleetRoutes: Sendable {
    let backend: APIBackend

    func list(_ api: APIRequest) async throws(Problem) -> APIAnswer {
        try RequestQuery(api.query).finish(allowed: [])
        let instances: [InstanceInfo]
        do {
            instances = try await backend.instances.instances()
        } catch {
            throw Problem(error)
        }
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("instances")
            writer.array(instances.sorted { $0.id < $1.id }) { Self.write($1, to: &$0) }
        }
        return APIAnswer(body: writer.bytes)
    }

    private static func write(_ instance: InstanceInfo, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("id")
            writer.string(instance.id)
            writer.key("host")
            writer.string(instance.host)
            writer.key("pid")
            writer.integer(Int64(instance.pid))
            writer.key("version")
            writer.string(instance.version)
            writer.key("started_at")
            writer.time(Timestamp(WallTime(milliseconds: instance.startedAt)))
            writer.key("seen_at")
            writer.time(Timestamp(WallTime(milliseconds: instance.seenAt)))
            writer.key("listen")
            writer.array(instance.listen) { $0.string($1) }
            writer.key("proactive")
            writer.bool(instance.isProactive)
            writer.key("leader")
            writer.bool(instance.isLeader)
            writer.key("refreshes")
            writer.integer(Int64(instance.refreshes))
            if let commands = instance.commandsPerDay {
                writer.key("commands_per_day")
                writer.integer(Int64(commands))
            }
        }
    }

    /// What this instance counts, for Prometheus to scrape.
    func metrics(_ api: APIRequest) throws(Problem) -> APIAnswer {
        try RequestQuery(api.query).finish(allowed: [])
        guard let metrics = backend.metrics else { throw Problem(.notFound, "this process keeps no metrics") }
        return APIAnswer(body: metrics(), contentType: "text/plain; version=0.0.4; charset=utf-8")
    }

    /// The process answers: that is all a liveness probe may ask.
    func alive() -> APIAnswer {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("status")
            writer.string("ok")
        }
        return APIAnswer(body: writer.bytes)
    }

    /// - Parameter inDetail: without it only the names of the failing checks are told, for addresses and paths may
    ///   stand in the reasons.
    func ready(inDetail: Bool) async -> APIAnswer {
        let report = await backend.readiness()
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("ready")
            writer.bool(report.ready)
            writer.key("reasons")
            let failing = report.checks.filter { $0.value != "ok" }.keys.sorted()
            writer.array(inDetail ? report.reasons : failing) { $0.string($1) }
            if inDetail {
                writer.key("checks")
                writer.object { writer in
                    for (name, state) in report.checks.sorted(by: { $0.key < $1.key }) {
                        writer.key(name)
                        writer.string(state)
                    }
                }
                writer.key("version")
                writer.string(backend.version)
            }
        }
        return APIAnswer(status: report.ready ? .ok : .serviceUnavailable, body: writer.bytes, isSecret: true)
    }
}
