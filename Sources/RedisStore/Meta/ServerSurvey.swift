import RedisClient
import RefreshCore

/// What a Redis server's settings mean for the tokens in it.
public enum ServerSurvey {
    /// Warnings for an operator, each with what to do; empty when all is well.
    ///
    /// Hosted services do not answer `CONFIG GET`, and in the hosted profile it is not sent; then `INFO` is asked, and what cannot be known is not warned about.
    public static func warnings(_ link: RedisLink) async -> [String] {
        var warnings: [String] = []
        let info = (try? await link.send(RedisCommand("INFO"), key: nil))?.string ?? ""
        let fields = parse(info)
        if let policy = await setting("maxmemory-policy", link) ?? fields["maxmemory_policy"], policy != "noeviction" {
            warnings.append(
                "Redis evicts keys when memory runs out (maxmemory-policy \(policy)): tokens can be lost. "
                    + "Set maxmemory-policy noeviction.")
        }
        let appendOnly = await setting("appendonly", link) ?? fields["aof_enabled"].map { $0 == "1" ? "yes" : "no" }
        if appendOnly == "no" {
            let save = await setting("save", link)
            warnings.append(
                save == ""
                    ? "Redis has no persistence (appendonly no, no save points): a restart loses every token. "
                        + "Set appendonly yes."
                    : "Redis keeps snapshots only (appendonly no): a crash loses the tokens since the last one. "
                        + "Set appendonly yes.")
        }
        if link.durability == .none, let replicas = fields["connected_slaves"].flatMap({ Int($0) }), replicas > 0 {
            warnings.append(
                "Redis has replicas, and a failover can lose what they do not have yet: the failover watch puts it back "
                    + "where this instance can reach the new primary. Set redis.durability: replicas:1 to be safe from a "
                    + "primary that is cut off together with an instance.")
        }
        return warnings
    }

    /// `redis_version` and the like, for `status`.
    public static func version(_ link: RedisLink) async -> String? {
        guard let info = (try? await link.send(RedisCommand("INFO", "server"), key: nil))?.string else { return nil }
        return parse(info)["redis_version"]
    }

    private static func setting(_ name: String, _ link: RedisLink) async -> String? {
        guard !link.isFrugal else { return nil }
        let reply = try? await link.send(RedisCommand("CONFIG", "GET", name), key: nil)
        guard let pair = reply?.array, pair.count == 2 else { return nil }
        return pair[1].string
    }

    static func parse(_ info: String) -> [String: String] {
        var fields: [String: String] = [:]
        for line in info.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
        }
        return fields
    }
}
