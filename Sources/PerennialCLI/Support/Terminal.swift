#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Words go to stderr, data to stdout.
enum Terminal {
    static func standardError(_ line: String) { write(line + "\n", to: 2) }
    static func standardOutput(_ line: String) { write(line + "\n", to: 1) }
    static func standardOutput(bytes: [UInt8]) { write(bytes + [0x0a], to: 1) }

    private static func write(_ text: String, to descriptor: CInt) { write(Array(text.utf8), to: descriptor) }

    static func write(_ bytes: [UInt8], to descriptor: CInt) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                #if canImport(Glibc)
                    Glibc.write(descriptor, buffer.baseAddress.map { $0 + offset }, bytes.count - offset)
                #elseif canImport(Musl)
                    Musl.write(descriptor, buffer.baseAddress.map { $0 + offset }, bytes.count - offset)
                #else
                    Darwin.write(descriptor, buffer.baseAddress.map { $0 + offset }, bytes.count - offset)
                #endif
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            offset += count
        }
    }

    static var isErrorTerminal: Bool { isatty(2) == 1 }

    static var isInputTerminal: Bool { isatty(0) == 1 }

    /// Asks on the terminal for something that does not show while it is typed; nil at the end of the input.
    static func ask(_ question: String) -> String? {
        write(Array(question.utf8), to: 2)
        var before = termios()
        let hasEcho = tcgetattr(0, &before) == 0
        if hasEcho {
            var silent = before
            silent.c_lflag &= ~tcflag_t(ECHO)
            _ = tcsetattr(0, TCSAFLUSH, &silent)
        }
        defer {
            if hasEcho { _ = tcsetattr(0, TCSAFLUSH, &before) }
            write(Array("\n".utf8), to: 2)
        }
        return readLine(strippingNewline: true)
    }

    /// Reads all of stdin, or of a file; at most `limit` bytes.
    ///
    /// - Throws: ``CommandFailure`` when it cannot be read or is larger.
    static func read(_ path: String, limit: Int) throws -> [UInt8] {
        if path == "-" {
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 64 * 1024)
            while true {
                let count = fill(&buffer)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return bytes }
                bytes += buffer.prefix(count)
                guard bytes.count <= limit else { throw tooLarge(path, limit) }
            }
        }
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw CommandFailure(.local, "\(path) cannot be read")
        }
        guard data.count <= limit else { throw tooLarge(path, limit) }
        return Array(data)
    }

    private static func fill(_ buffer: inout [UInt8]) -> Int {
        buffer.withUnsafeMutableBytes { bytes in
            #if canImport(Glibc)
                Glibc.read(0, bytes.baseAddress, bytes.count)
            #elseif canImport(Musl)
                Musl.read(0, bytes.baseAddress, bytes.count)
            #else
                Darwin.read(0, bytes.baseAddress, bytes.count)
            #endif
        }
    }

    private static func tooLarge(_ path: String, _ limit: Int) -> CommandFailure {
        CommandFailure(.local, "\(path == "-" ? "stdin" : path) is larger than \(limit >> 20) MiB")
    }
}
