import Dispatch
import NIOConcurrencyHelpers

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// An HTTP server on a free port of 127.0.0.1 that gives one answer per connection, as raw bytes.
final class LoopbackServer: Sendable {
    enum Answer: Sendable {
        case bytes(String)
        /// Reads the request and closes.
        case hangUp
        /// Reads the request and says nothing until the server is stopped.
        case silence
    }

    struct Failure: Error { let step: String }

    let port: UInt16
    private let listener: Int32
    private let requests = NIOLockedValueBox<[String]>([])
    private let open = NIOLockedValueBox<(sockets: Set<Int32>, isStopped: Bool)>(([], false))
    private let serving = DispatchGroup()

    init(_ answer: Answer) throws {
        #if canImport(Darwin)
            let kind = SOCK_STREAM
        #elseif canImport(Musl)
            let kind = SOCK_STREAM
        #else
            let kind = Int32(SOCK_STREAM.rawValue)
        #endif
        let descriptor = socket(AF_INET, kind, 0)
        guard descriptor >= 0 else { throw Failure(step: "socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, size) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, generic, &size) == 0
            }
        }
        guard bound else {
            close(descriptor)
            throw Failure(step: "bind")
        }
        listener = descriptor
        port = UInt16(bigEndian: address.sin_port)
        DispatchQueue(label: "loopback-server").async(group: serving) { self.serve(answer) }
    }

    var received: [String] { requests.withLockedValue { $0 } }

    /// A number is given back when nobody uses it any more: another server's socket may be the next to have it.
    func stop() {
        open.withLockedValue { open in
            open.isStopped = true
            for socket in open.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
        // There only the close ends the wait for a connection.
        #if !canImport(Darwin)
            serving.wait()
        #endif
        close(listener)
        open.withLockedValue { open in
            for socket in open.sockets { close(socket) }
            open.sockets = []
        }
    }

    #if canImport(Darwin)
        private static let noSignal: Int32 = 0
    #else
        private static let noSignal = Int32(MSG_NOSIGNAL)
    #endif

    private func serve(_ answer: Answer) {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { return }
            let isStopped = open.withLockedValue { open in
                if !open.isStopped { open.sockets.insert(connection) }
                return open.isStopped
            }
            if isStopped {
                close(connection)
                return
            }
            let request = readRequest(connection)
            requests.withLockedValue { $0.append(request) }
            switch answer {
            case .silence: continue
            case .hangUp: break
            case .bytes(let text):
                let bytes = Array(text.utf8)
                var sent = 0
                while sent < bytes.count {
                    let count = bytes[sent...].withUnsafeBytes {
                        send(connection, $0.baseAddress, $0.count, Self.noSignal)
                    }
                    guard count > 0 else { break }
                    sent += count
                }
            }
            open.withLockedValue { open in
                if open.sockets.remove(connection) != nil { close(connection) }
            }
        }
    }

    /// Until the body is as long as Content-Length says.
    private func readRequest(_ connection: Int32) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let text = String(decoding: bytes, as: UTF8.self)
            if let end = text.firstRange(of: "\r\n\r\n") {
                let header = text[..<end.lowerBound].lowercased()
                let length = header.split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
                    .flatMap { Int($0.dropFirst("content-length:".count).filter { $0 != " " }) }
                if text[end.upperBound...].utf8.count >= length ?? 0 { return text }
            }
            let count = recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { return text }
            bytes += chunk[..<count]
        }
    }
}
