import Foundation
import Glibc
import NIOConcurrencyHelpers

@testable import CurlClient

/// A TCP server on a free port of 127.0.0.1 that does what its script says, however wrong: one thread per connection.
final class RawServer: Sendable {
    struct Counters {
        var connections = 0
        /// Requests read to their end.
        var requests = 0
        /// Every byte that came in.
        var bytes = 0
    }

    private struct State {
        var counters = Counters()
        var open: Set<Int32> = []
        var threads = 0
        var isStopped = false
    }

    let port: UInt16
    private let listener: Int32
    private let state = NIOLockedValueBox(State())

    var counters: Counters { state.withLockedValue { $0.counters } }
    var url: String { "http://127.0.0.1:\(port)" }

    /// - Parameter script: runs for each connection, which is closed when it returns.
    init(_ script: @escaping @Sendable (RawConnection) -> Void) throws {
        (listener, port) = try Self.listen()
        startThread { [self] in accept(script) }
    }

    /// Stops accepting, cuts the connections, and waits for the threads to end.
    func stop() {
        state.withLockedValue { state in
            state.isStopped = true
            for descriptor in state.open { _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
        _ = Glibc.shutdown(listener, Int32(SHUT_RDWR))
        while state.withLockedValue({ $0.threads > 0 }) { usleep(1000) }
        Glibc.close(listener)
    }

    /// Refuses new connections; those that stand go on.
    func stopListening() { _ = Glibc.shutdown(listener, Int32(SHUT_RDWR)) }

    fileprivate func count(bytes: Int) { state.withLockedValue { $0.counters.bytes += bytes } }

    /// The number of this request, from 1, over all connections.
    fileprivate func countRequest() -> Int {
        state.withLockedValue { state in
            state.counters.requests += 1
            return state.counters.requests
        }
    }

    private func accept(_ script: @escaping @Sendable (RawConnection) -> Void) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            let number: Int? = state.withLockedValue { state in
                guard !state.isStopped else { return nil }
                state.open.insert(descriptor)
                state.counters.connections += 1
                return state.counters.connections
            }
            guard let number else {
                Glibc.close(descriptor)
                return
            }
            startThread { [self] in
                script(RawConnection(descriptor, number: number, server: self))
                state.withLockedValue { state in
                    _ = state.open.remove(descriptor)
                    Glibc.close(descriptor)
                }
            }
        }
    }

    private func startThread(_ work: @escaping @Sendable () -> Void) {
        state.withLockedValue { $0.threads += 1 }
        let thread = Thread { [self] in
            work()
            state.withLockedValue { $0.threads -= 1 }
        }
        thread.stackSize = 256 << 10
        thread.start()
    }

    struct Failure: Error {
        var call: String
    }

    private static func listen() throws -> (Int32, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(call: "socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, size) == 0 && Glibc.listen(descriptor, 1024) == 0
                    && getsockname(descriptor, address, &size) == 0
            }
        }
        guard result else { throw Failure(call: "bind, listen or getsockname") }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// A port on which nobody listens (unless somebody takes it in the next moment).
    static func freePort() throws -> UInt16 {
        let (descriptor, port) = try listen()
        Glibc.close(descriptor)
        return port
    }
}

/// The server's end of one connection.
final class RawConnection {
    /// From 1, in the order of acceptance.
    let number: Int
    private let descriptor: Int32
    private let server: RawServer
    private var pending: [UInt8] = []

    struct Request {
        /// From 1, over all connections.
        var number: Int
        var head: String
        var body: [UInt8]
    }

    fileprivate init(_ descriptor: Int32, number: Int, server: RawServer) {
        self.descriptor = descriptor
        self.number = number
        self.server = server
    }

    /// Without its body; nil at the end of the connection.
    func readHead() -> String? {
        guard let bytes = readBytes(until: "\r\n\r\n") else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// At most that many bytes of a body; nil at the end of the connection.
    func readSome(_ most: Int) -> Int? {
        guard !pending.isEmpty || fill() else { return nil }
        let count = min(most, pending.count)
        pending.removeFirst(count)
        return count
    }

    /// The next chunk of a chunked body, the last one empty; nil where the connection ends before.
    func readChunk() -> [UInt8]? {
        guard let line = readBytes(until: "\r\n"), let size = Int(String(decoding: line, as: UTF8.self), radix: 16)
        else { return nil }
        while pending.count < size + 2 {
            guard fill() else { return nil }
        }
        let chunk = Array(pending[..<size])
        pending.removeFirst(size + 2)
        return chunk
    }

    private func readBytes(until mark: String) -> [UInt8]? {
        while true {
            if let end = pending.firstRange(of: Array(mark.utf8)) {
                defer { pending.removeFirst(end.upperBound) }
                return Array(pending[..<end.lowerBound])
            }
            guard fill() else { return nil }
        }
    }

    /// nil at the end of the connection.
    func readRequest() -> Request? {
        guard let head = readHead() else { return nil }
        let length = head.split(separator: "\r\n").compactMap { line -> Int? in
            guard line.lowercased().hasPrefix("content-length:") else { return nil }
            return Int(line.dropFirst(15).trimmingCharacters(in: .whitespaces))
        }.first
        while pending.count < length ?? 0 {
            guard fill() else { return nil }
        }
        let body = Array(pending.prefix(length ?? 0))
        pending.removeFirst(body.count)
        return Request(number: server.countRequest(), head: head, body: body)
    }

    /// Waits for the other side to close, and takes in what it sends.
    func drain() {
        while fill() {}
    }

    /// False when the other side has gone.
    @discardableResult
    func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    func answer(_ status: String = "200 OK", headers: String = "", body: [UInt8] = []) {
        write(Array("HTTP/1.1 \(status)\r\nContent-Length: \(body.count)\r\n\(headers)\r\n".utf8) + body)
    }

    private func fill() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0 else { return false }
        server.count(bytes: count)
        pending.append(contentsOf: buffer[..<count])
        return true
    }
}

/// For scripts that have to be slow.
func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }
