public import Logging

// `Perennial.connect(…)` is the module's function, not that of a type: a type named like its module would hide the module,
// and nobody could write `Perennial.AccessToken` any more to tell it from an AccessToken of their own.

/// Puts an instance together, runs it in the background and waits until it can give tokens.
///
/// ```swift
/// let perennial = try await Perennial.connect(file: "perennial.yaml")
/// let token = try await perennial.accessToken(for: "alice")
/// await perennial.shutdown()
/// ```
///
/// - Parameters:
///   - file: the configuration, as `perennial serve` reads it. What it says of listening and callers' keys is for `serve`.
///   - environment: what wins over the file and what `${NAME}` in it is replaced from. Nil: that of the process.
///   - logger: where the instance says what happens to it; never a token.
///   - patience: how long to wait for Redis.
/// - Throws: ``PerennialError`` that says what is wrong and what to do, or `CancellationError`. Nothing is left running then.
public func connect(
    file: String, environment: [String: String]? = nil, logger: Logger = Logger(label: "perennial"),
    patience: Duration = .seconds(30)
) async throws -> PerennialClient {
    try await PerennialClient(file: file, environment: environment, logger: logger).connected(patience: patience)
}

/// The same with a configuration that is given in code.
///
/// - Parameters:
///   - configuration: as in the configuration file.
///   - logger: where the instance says what happens to it; never a token.
///   - patience: how long to wait for Redis.
public func connect(
    _ configuration: PerennialClient.Configuration, logger: Logger = Logger(label: "perennial"),
    patience: Duration = .seconds(30)
) async throws -> PerennialClient {
    try await PerennialClient(configuration, logger: logger).connected(patience: patience)
}
