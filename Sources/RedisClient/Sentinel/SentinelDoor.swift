/// Connections to Sentinels, which are asked without a login first: the login of the URL is that of the data servers,
/// and a Sentinel is given it only when it asks for one.
struct SentinelDoor: Sendable {
    let factory: ConnectionFactory
    let masterName: String

    init(factory: ConnectionFactory, masterName: String) {
        self.factory = factory.forLookups
        self.masterName = masterName
    }

    private var patience: Duration { factory.configuration.commandTimeout }

    /// A connection that has answered a PING.
    ///
    /// - Throws: ``RedisError/Code/unavailable`` where the Sentinel does not answer, or wants another login.
    func open(_ sentinel: RedisEndpoint) async throws(RedisError) -> RedisConnection {
        let connection = try await factory.open(sentinel)
        do throws(RedisError) {
            try await knock(connection)
            return connection
        } catch {
            connection.close(error)
            throw error
        }
    }

    private func knock(_ connection: RedisConnection) async throws(RedisError) {
        guard let refusal = try await connection.send(RedisCommand("PING"), timeout: patience).serverError else {
            return
        }
        guard refusal.code == "NOAUTH" else {
            throw RedisError(.unavailable, "The Sentinel is not ready (server: \(refusal)).", serverError: refusal)
        }
        guard let login = factory.login else {
            throw RedisError(
                .unavailable, "The Sentinel wants a login. Put user and password into the Redis URL.",
                serverError: refusal)
        }
        if let refusal = try await connection.send(login, timeout: patience).serverError {
            throw RedisError(
                .unavailable,
                "The Sentinel refused the login of the Redis URL (server: \(factory.withoutPassword(refusal))).",
                serverError: factory.withoutPassword(refusal))
        }
    }

    /// The address that one Sentinel gives for the master.
    func masterAddress(from sentinel: RedisEndpoint) async throws(RedisError) -> RedisEndpoint {
        let connection = try await open(sentinel)
        defer { connection.finish() }
        let reply = try await connection.send(
            RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName), timeout: patience)
        if let error = reply.serverError {
            throw RedisError(.unavailable, "It is no Sentinel (server: \(error)).", serverError: error)
        }
        guard !reply.isNull else {
            throw RedisError(.unavailable, "It watches no master named \(masterName).")
        }
        guard let parts = reply.array, parts.count == 2, let host = parts[0].string, !host.isEmpty,
            let port = parts[1].int, (1...65535).contains(port)
        else { throw RedisError(.protocolViolation, "It gave an address that cannot be read.") }
        return .tcp(host: host, port: Int(port))
    }
}
