extension RedisConnection {
    /// `EVALSHA`, and `EVAL` where the server does not know the script: after SCRIPT FLUSH, a restart, a failover, and
    /// the first time on each node of a Cluster. An error reply is returned as a value.
    ///
    /// NOSCRIPT is proof that nothing ran, so the second try is no retry.
    func evaluate(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument], asking: Bool, timeout: Duration
    ) async throws(RedisError) -> RESPValue {
        let started = ContinuousClock.now
        let reply = try await send(script.evalsha(keys: keys, arguments: arguments), asking: asking, timeout: timeout)
        guard reply.serverError?.code == "NOSCRIPT" else {
            if reply.serverError == nil { count(script.usualCommands) }
            return reply
        }
        let remaining = max(timeout - (ContinuousClock.now - started), .milliseconds(1))
        let second = try await send(script.eval(keys: keys, arguments: arguments), asking: asking, timeout: remaining)
        if second.serverError == nil { count(script.usualCommands) }
        return second
    }
}
