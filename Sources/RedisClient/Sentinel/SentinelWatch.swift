/// Listens to one Sentinel for `+switch-master`, and listens again whenever the connection is lost.
struct SentinelWatch: Sendable {
    let sentinel: RedisEndpoint
    let door: SentinelDoor
    /// Called with the new address of the master, on an event loop.
    let announced: @Sendable (RedisEndpoint) -> Void

    private static let channel = "+switch-master"
    private static let backoff = ReconnectBackoff(base: .milliseconds(100), cap: .seconds(5))

    func run() async {
        var attempt = 0
        while !Task.isCancelled {
            if await listen() { attempt = 0 } else { attempt += 1 }
            try? await Task.sleep(for: Self.backoff.delay(attempt: attempt, fraction: .random(in: 0.5...1)))
        }
    }

    /// Until the connection ends. False where none was made.
    private func listen() async -> Bool {
        do throws(RedisError) {
            let connection = try await door.open(sentinel)
            let (name, announced) = (door.masterName, announced)
            try await connection.enterSubscriberMode { value in
                guard let parts = value.array, parts.count == 3, parts[0].string == "message",
                    let payload = parts[2].string, let address = Self.newAddress(payload, of: name)
                else { return }
                announced(address)
            }
            try connection.post(RedisCommand("SUBSCRIBE", Self.channel))
            _ = await withTaskCancellationHandler {
                await connection.end()
            } onCancel: {
                connection.finish()
            }
            return true
        } catch {
            return false
        }
    }

    /// The last two words of `NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT`; nil for other masters.
    static func newAddress(_ payload: String, of masterName: String) -> RedisEndpoint? {
        let words = payload.split(separator: " ")
        guard words.count == 5, words[0] == masterName, let port = Int(words[4]), (1...65535).contains(port) else {
            return nil
        }
        return .tcp(host: String(words[3]), port: port)
    }
}
