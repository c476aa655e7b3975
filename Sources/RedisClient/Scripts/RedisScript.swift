import Crypto

/// A Lua script, run by its digest and sent in full only where the server does not know it yet.
public struct RedisScript: Sendable, Hashable {
    /// For logs and metrics; the server never sees it.
    public let name: String
    public let source: String
    /// The SHA-1 of the source in lower-case hexadecimal, which `EVALSHA` takes. It names the script, it protects nothing.
    public let sha1: String
    /// The commands that one run usually makes, by name: hosted services bill each. They are added to
    /// ``RedisClient/commandCounts`` for every run, so that the counts come close to what the server counts.
    public let usualCommands: [String]

    public init(name: String, source: String, usualCommands: [String] = []) {
        self.usualCommands = usualCommands
        self.name = name
        self.source = source
        let digits = Array("0123456789abcdef")
        sha1 = String(
            Insecure.SHA1.hash(data: Array(source.utf8)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    func evalsha(keys: [String], arguments: [any RedisArgument]) -> RedisCommand {
        command("EVALSHA", sha1, keys: keys, arguments: arguments)
    }

    func eval(keys: [String], arguments: [any RedisArgument]) -> RedisCommand {
        command("EVAL", source, keys: keys, arguments: arguments)
    }

    private func command(
        _ name: String, _ script: String, keys: [String], arguments: [any RedisArgument]
    ) -> RedisCommand {
        var command = RedisCommand(name, script, keys.count)
        for key in keys { command.append(key) }
        for argument in arguments { command.append(argument) }
        return command
    }
}
