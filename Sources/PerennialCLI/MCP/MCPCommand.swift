import ArgumentParser
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Perennial
import PerennialAPI
import UnixSignals

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// `perennial mcp`
struct MCPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp", abstract: "Speak the Model Context Protocol on stdin and stdout, for an assistant.",
        discussion: """
            Tools: list_accounts, token_status, refresh_token, pool_status. None shows a token. The same is served by \
            instances at POST /mcp.
            """)

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Only tools that change nothing.")
    var readOnly = false

    func run() async throws {
        let readOnly = readOnly
        // The assistant's client closes the input, waits a little and then sends SIGTERM: a rotation that is under way by then
        // has to land.
        let isEnded = NIOLockedValueBox(false)
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let watch = Task {
            for await _ in signals { isEnded.withLockedValue { $0 = true } }
        }
        defer { watch.cancel() }
        try await options.withStore { instance in
            let server = MCPServer(backend: APIBackend(instance))
            let outbox = Outbox()
            try await withThrowingDiscardingTaskGroup { group in
                var lines = InputLines(longest: MCPServer.maximumMessage) { isEnded.withLockedValue { $0 } }
                // Each on its own: a ping is answered while a refresh takes its time.
                while let line = try await lines.next() {
                    group.addTask {
                        let answer = await server.answer(line) { $0 == .read || !readOnly }
                        if let answer { await outbox.send(answer) }
                    }
                }
            }
        }
    }
}

/// One line after the other.
private actor Outbox {
    func send(_ line: [UInt8]) { Terminal.standardOutput(bytes: line) }
}

/// Standard input by the line, read on a thread that may block.
private struct InputLines {
    /// In bytes; of a longer line only so much is kept, which is no JSON any more.
    let longest: Int
    /// Asked several times a second: whether to read no more.
    let isEnded: @Sendable () -> Bool
    private var pending: [UInt8] = []
    private var isAtEnd = false

    init(longest: Int, isEnded: @escaping @Sendable () -> Bool) {
        self.longest = longest
        self.isEnded = isEnded
    }

    /// Nil at the end of the input; never an empty line.
    mutating func next() async throws -> [UInt8]? {
        var searched = 0
        while true {
            if let end = pending[searched...].firstIndex(of: 0x0A) {
                let line = Array(pending[..<end].prefix(longest + 1))
                pending.removeFirst(end + 1)
                searched = 0
                if line.contains(where: { $0 != 0x20 && $0 != 0x0D && $0 != 0x09 }) { return line }
                continue
            }
            if isAtEnd {
                defer { pending = [] }
                return pending.isEmpty ? nil : pending
            }
            if pending.count > longest + 1 { pending.removeSubrange((longest + 1)...) }
            searched = pending.count
            let bytes = try await NIOSingletons.posixBlockingThreadPool.runIfActive { [isEnded] in Self.read(isEnded) }
            isAtEnd = bytes.isEmpty
            pending += bytes
        }
    }

    /// Empty at the end, or when reading fails for good.
    private static func read(_ isEnded: () -> Bool) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            var input = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
            let isThere = poll(&input, 1, 200)
            if isEnded() { return [] }
            // On an error the read says which.
            if isThere == 0 || (isThere < 0 && errno == EINTR) { continue }
            let count = buffer.withUnsafeMutableBytes { bytes in
                #if canImport(Glibc)
                    Glibc.read(0, bytes.baseAddress, bytes.count)
                #elseif canImport(Musl)
                    Musl.read(0, bytes.baseAddress, bytes.count)
                #else
                    Darwin.read(0, bytes.baseAddress, bytes.count)
                #endif
            }
            if count < 0, errno == EINTR { continue }
            return Array(buffer.prefix(max(0, count)))
        }
    }
}
