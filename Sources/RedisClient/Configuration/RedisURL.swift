extension RedisConfiguration {
    /// Reads a Redis URL.
    ///
    /// - `redis://[user[:password]@]host[:port][/db]`, plain TCP, port 6379 unless given;
    /// - `unix://[user[:password]@]/path[?db=n]`, a Unix socket;
    /// - `redis+sentinel://[user[:password]@]host[:port],…/master-name[/db]`, the addresses of Sentinels, port 26379
    ///   unless given, and the name under which they watch the master. User and password are those of the Redis
    ///   servers; a Sentinel is given them only when it asks for a login itself;
    /// - `redis+cluster://[user[:password]@]host[:port],…`, some nodes of a Redis Cluster, port 6379 unless given.
    ///
    /// With `rediss` in place of `redis` every connection speaks TLS, those to Sentinels too. `?db=n` works for all but
    /// the Cluster. `redis://:password@host` names a password only. Reserved characters in user, password and path are
    /// percent-encoded. See <https://www.iana.org/assignments/uri-schemes/prov/redis>.
    ///
    /// - Throws: ``RedisError/Code/configuration``. The message says which part is wrong and never contains any of the
    ///   URL, for a password may stand in the wrong place.
    public init(url: String) throws(RedisError) {
        let parts = try RedisURLParts(url)
        switch parts.kind {
        case .single:
            let host = try parts.server(parts.address, called: nil, defaultPort: 6379)
            self.init(endpoint: host, database: try parts.database(inPath: parts.path.dropFirst()))
        case .unixSocket:
            guard parts.address.isEmpty, parts.path.count > 1 else {
                throw RedisURLParts.malformed("a socket path is absolute: unix:///run/redis.sock")
            }
            let path = try RedisURLParts.percentDecoded(parts.path)
            guard path.utf8.count < 108, !path.utf8.contains(0) else {
                throw RedisURLParts.malformed("a socket path has at most 107 bytes")
            }
            self.init(endpoint: .unixSocket(path: path), database: try parts.database(inPath: ""))
        case .sentinel:
            let sentinels = try parts.servers(called: "Sentinel", defaultPort: 26379)
            let (name, database) = RedisURLParts.split(parts.path.dropFirst(), at: "/")
            self.init(
                deployment: .sentinel(sentinels, masterName: try RedisURLParts.masterName(name)),
                database: try parts.database(inPath: database ?? ""))
        case .cluster:
            let seeds = try parts.servers(called: "node", defaultPort: 6379)
            guard try parts.database(inPath: parts.path.dropFirst()) == 0 else {
                throw RedisURLParts.malformed("a Redis Cluster has database 0 only")
            }
            self.init(deployment: .cluster(seeds: seeds))
        }
        if parts.usesTLS { tls = RedisTLS() }
        (username, password) = try parts.login()
    }

    /// What is wrong with a Redis URL; nil when it can be used. Never contains any of the URL.
    public static func reasonAgainst(url: String) -> String? {
        do throws(RedisError) {
            _ = try RedisConfiguration(url: url)
            return nil
        } catch {
            return error.message
        }
    }
}
