import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `webhook_receiver.py` as a process that can be told how to answer, be killed and come back.
struct WebhookReceiver: Sendable {
    struct Entry: Sendable, Hashable, Decodable {
        var id: String
        var type: String
        var account: String?
        var verified: Bool
        var taken: Bool
    }

    enum Mode: String {
        case ok, error, late, lost
    }

    static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    let port: Int
    private let workshop: Workshop

    init(_ workshop: Workshop, port: Int) throws {
        self.workshop = workshop
        self.port = port
        try TextFile.write("ok\n", to: modeFile)
    }

    private var modeFile: String { workshop.path("receiver.mode") }
    private var journal: String { workshop.path("receiver.jsonl") }

    func answer(_ mode: Mode) throws { try TextFile.write(mode.rawValue + "\n", to: modeFile) }

    func start() async throws -> ServerProcess {
        let port = port
        let process = try await workshop.start(
            "webhook-receiver", try PythonPeer.interpreter(),
            [
                PythonPeer.program("webhook_receiver.py"), "--port", "\(port)", "--secret", Self.secret, "--journal",
                journal, "--mode", modeFile,
            ])
        try await process.waitUntil("ready", timeout: .seconds(60)) { process.log.contains("ready \(port)") }
        return process
    }

    /// All requests so far.
    func entries() throws -> [Entry] {
        // A last line that is being written does not count yet.
        let text = TextFile.read(journal) ?? ""
        return try text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map {
            try JSONDecoder().decode(Entry.self, from: Data($0.utf8))
        }
    }

    /// What was taken, without repetitions, in the order of the first time.
    func taken() throws -> [Entry] {
        var seen: Set<String> = []
        return try entries().filter { $0.taken && seen.insert($0.id).inserted }
    }
}
