/// A pipeline of which some commands may have to go to another node.
struct RedirectedPipeline {
    private static let redirects: Set<String> = ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"]

    private let commands: [RedisCommand]
    private let isTransaction: Bool
    /// The commands that have no answer yet, only redirects.
    private var pending: [Int]
    private(set) var replies: [RESPValue]
    private var hasPartlyRun = false

    init(_ commands: [RedisCommand]) {
        self.commands = commands
        isTransaction = commands.contains { $0.name == "MULTI" }
        pending = Array(commands.indices)
        replies = Array(repeating: .null, count: commands.count)
    }

    /// What to send now.
    func batch(asking: Bool) -> [RedisCommand] {
        pending.flatMap { asking ? [.asking, commands[$0]] : [commands[$0]] }
    }

    /// Takes the replies to a batch. Returns the error that may call for another try with what is left, or for leaving
    /// the server; nil when all is answered.
    mutating func received(_ batch: [RESPValue], asking: Bool) -> RedisServerError? {
        for (place, index) in pending.enumerated() {
            let position = asking ? 2 * place + 1 : place
            replies[index] = position < batch.count ? batch[position] : .null
        }
        let turnedAway = pending.filter { replies[$0].serverError.map { Self.redirects.contains($0.code) } ?? false }
        guard let first = turnedAway.first, let error = replies[first].serverError else {
            return replies.lazy.compactMap(\.serverError).first { $0.code == "READONLY" }
        }
        guard isTransaction else {
            if turnedAway.count < pending.count { hasPartlyRun = true }
            pending = turnedAway
            return error
        }
        // After a redirect EXEC answers EXECABORT; a command beside the transaction may have run.
        let nothingRan = replies.indices.allSatisfy {
            replies[$0].serverError != nil || commands[$0].name == "MULTI" || replies[$0] == .simpleString("QUEUED")
        }
        guard nothingRan else { return nil }
        // ASKING holds for one command, not for a transaction: that waits until the slot has arrived.
        return error.code == "ASK" ? RedisServerError(code: "TRYAGAIN", message: error.message) : error
    }

    /// An error holds for the whole pipeline, so it must not deny what some of its commands have done.
    func failure(_ error: RedisError) -> RedisError {
        guard hasPartlyRun, !error.mayHaveExecuted else { return error }
        return RedisError(
            .unknownOutcome, "A part of the pipeline has run, the rest has not: \(error.message)",
            serverError: error.serverError, underlying: error)
    }
}
