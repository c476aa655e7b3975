extension RedisConnection {
    /// `EVALSHA`, and `EVAL` where the server does not know the script: after SCRIPT FLUSH, a restart, a failover.
    ///
    /// NOSCRIPT is proof that nothing ran, so the second try is no retry.
    func evaluate(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument], timeout: Duration
    ) async throws(RedisError) -> RESPValue {
        let started = ContinuousClock.now
        var reply = try await send(script.evalsha(keys: keys, arguments: arguments), timeout: timeout)
        if reply.serverError?.code == "NOSCRIPT" {
            let remaining = max(timeout - (ContinuousClock.now - started), .milliseconds(1))
            reply = try await send(script.eval(keys: keys, arguments: arguments), timeout: remaining)
        }
        if case .error(let error) = reply { throw .server(error) }
        return reply
    }
}
