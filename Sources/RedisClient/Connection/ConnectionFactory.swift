import Logging
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Makes connections that are ready for use: TCP or Unix socket, TLS, authentication, database, name, one PING.
struct ConnectionFactory: Sendable {
    var configuration: RedisConfiguration
    let group: any EventLoopGroup
    let counter: CommandCounter

    /// For short questions: the same, with the lookup timeout for everything.
    var forLookups: ConnectionFactory {
        var factory = self
        factory.configuration.connectTimeout = min(configuration.lookupTimeout, configuration.connectTimeout)
        factory.configuration.commandTimeout = factory.configuration.connectTimeout
        return factory
    }

    /// - Parameter verify: Has the last word on the connection, with a way to ask the server; throws to refuse it.
    /// - Throws: ``RedisError/Code/unavailable`` or ``RedisError/Code/configuration``, saying what to check.
    func connect(
        to endpoint: RedisEndpoint,
        verify: @Sendable (RedisTopology.Ask) async throws(RedisError) -> Void = { _ throws(RedisError) in }
    ) async throws(RedisError) -> RedisConnection {
        let started = ContinuousClock.now
        let connection = try await open(endpoint)
        do throws(RedisError) {
            try await greet(connection, started: started)
            let remaining = remainingTime(since: started)
            try await verify { command throws(RedisError) in
                try await connection.send(command, timeout: remaining)
            }
            return connection
        } catch {
            connection.close(error)
            throw error
        }
    }

    private func remainingTime(since started: ContinuousClock.Instant) -> Duration {
        max(configuration.connectTimeout - (ContinuousClock.now - started), .milliseconds(1))
    }

    /// A connection as it is after TCP and TLS, nothing said yet.
    func open(_ endpoint: RedisEndpoint) async throws(RedisError) -> RedisConnection {
        let tls = try configuration.tls.map { tls throws(RedisError) in (context: try tls.makeContext(), tls: tls) }
        let bootstrap = ClientBootstrap(group: group).connectTimeout(TimeAmount(clamping: configuration.connectTimeout))
        let initialize: @Sendable (any Channel) -> EventLoopFuture<RedisConnection> = { channel in
            channel.eventLoop.makeCompletedFuture {
                if let tls {
                    let handler = try Self.tlsHandler(tls.context, serverName: tls.tls.serverName, endpoint: endpoint)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
                return try RedisConnection(
                    channel: channel, endpoint: endpoint, configuration: configuration, counter: counter)
            }
        }
        do {
            switch endpoint {
            case .tcp(let host, let port):
                return
                    try await bootstrap
                    .channelOption(.socketOption(.so_keepalive), value: 1)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .channelOption(.tcpOption(Self.keepAliveIdle), value: Self.keepAliveSeconds)
                    .connect(host: host, port: port, channelInitializer: initialize)
            case .unixSocket(let path):
                return try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: initialize)
            }
        } catch {
            let failure = ConnectionFailure.describe(error)
            guard case .unixSocket = endpoint, failure.code == .unavailable else { throw failure }
            throw RedisError(.unavailable, "Cannot connect to \(endpoint): \(failure.message)", underlying: error)
        }
    }

    /// TCP asks after the peer by itself when nothing was heard for this many seconds: no command is spent on that.
    private static let keepAliveSeconds = 60
    #if canImport(Glibc)
        private static let keepAliveIdle = NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE)
    #else
        private static let keepAliveIdle = NIOBSDSocket.Option(rawValue: TCP_KEEPALIVE)
    #endif

    /// An IP address cannot be asked for by SNI; NIOSSL then verifies the certificate against the peer's address.
    private static func tlsHandler(
        _ context: NIOSSLContext, serverName: String?, endpoint: RedisEndpoint
    ) throws -> NIOSSLClientHandler {
        var name = serverName
        if name == nil, case .tcp(let host, _) = endpoint, (try? SocketAddress(ipAddress: host, port: 0)) == nil {
            name = host
        }
        do {
            return try ServerNameCheck.handler(context, name: name)
        } catch {
            throw RedisError(
                .configuration, "The Redis TLS server name cannot be used; give a host name.", underlying: error)
        }
    }

    /// AUTH; nil where no user or password is configured.
    var login: RedisCommand? {
        switch (configuration.username, configuration.password) {
        case (let user?, let password): RedisCommand("AUTH", user, password ?? "")
        case (nil, let password?): RedisCommand("AUTH", password)
        case (nil, nil): nil
        }
    }

    /// AUTH, SELECT, CLIENT SETNAME and PING in one write. PING proves that somebody answers.
    private func greet(_ connection: RedisConnection, started: ContinuousClock.Instant) async throws(RedisError) {
        var commands = login.map { [$0] } ?? []
        if configuration.database != 0 { commands.append(RedisCommand("SELECT", configuration.database)) }
        if let name = configuration.clientName { commands.append(RedisCommand("CLIENT", "SETNAME", name)) }
        commands.append(RedisCommand("PING"))

        let replies: [RESPValue]
        do throws(RedisError) {
            replies = try await connection.pipeline(commands, timeout: remainingTime(since: started))
        } catch {
            switch error.code {
            case .timeout:
                throw RedisError(.unavailable, "The server accepted the connection but did not answer in time.")
            case .unknownOutcome, .unavailable:
                // The reason behind the lost greeting says more than that the greeting was lost.
                throw await connection.end()
            default:
                throw error
            }
        }
        for (command, reply) in zip(commands, replies) {
            guard let error = reply.serverError else { continue }
            try judge(withoutPassword(error), of: command)
        }
    }

    /// Some servers and proxies repeat the arguments of what they refuse.
    func withoutPassword(_ error: RedisServerError) -> RedisServerError {
        guard let password = configuration.password, !password.isEmpty else { return error }
        return RedisServerError(code: error.code, message: error.message.replacing(password, with: "***"))
    }

    private func judge(_ error: RedisServerError, of command: RedisCommand) throws(RedisError) {
        let advice: String
        switch (command.name, error.code) {
        case ("CLIENT", _), ("PING", "NOPERM"):
            // A name is a courtesy; a user who may not PING is answered all the same.
            return
        case ("PING", _) where error.isOverQuota:
            // Connecting anew would not help, and costs: the commands that follow say what is the matter.
            return
        case ("AUTH", "WRONGPASS"), ("AUTH", "ERR"), ("AUTH", "NOPERM"):
            advice = "Redis refused the login. Check user and password of the Redis URL"
        case (_, "NOAUTH"):
            advice = "Redis wants a login. Put user and password into the Redis URL"
        case ("SELECT", _):
            advice = "Redis refused database \(configuration.database). Check the database number of the Redis URL"
        default:
            advice = "Redis is not ready"
        }
        throw RedisError(.unavailable, "\(advice) (server: \(error)).", serverError: error)
    }
}
