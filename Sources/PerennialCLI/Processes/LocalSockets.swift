#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Sockets of this machine, for starting servers and finding out whether they are up.
enum LocalSockets {
    #if canImport(Glibc)
        private static let stream = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    #else
        private static let stream = SOCK_STREAM | SOCK_CLOEXEC
    #endif

    /// Different TCP ports of 127.0.0.1 that were free just now. Who uses one still has to expect that another process was
    /// faster.
    ///
    /// - Throws: ``ProcessError``.
    static func freePorts(_ count: Int) throws(ProcessError) -> [Int] {
        var open: [Int32] = []
        // All are held until the last is found: none comes twice.
        defer { for socket in open { close(socket) } }
        var ports: [Int] = []
        for _ in 0..<count {
            let socket = socket(AF_INET, stream, 0)
            guard socket >= 0 else { throw ProcessError(description: "cannot make a socket") }
            open.append(socket)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(socket, address, length) == 0 && getsockname(socket, address, &length) == 0
                }
            }
            guard isBound else { throw ProcessError(description: "there is no free port on 127.0.0.1") }
            ports.append(Int(UInt16(bigEndian: address.sin_port)))
        }
        return ports
    }

    /// Whether a Redis server answers PING on a Unix socket. Takes up to a second.
    static func redisAnswers(at path: String) -> Bool {
        let socket = socket(AF_UNIX, stream, 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                connect(socket, address, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        let request = Array("PING\r\n".utf8)
        guard isConnected, send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return false
        }
        var answer = [UInt8](repeating: 0, count: 64)
        let count = recv(socket, &answer, answer.count, 0)
        // While it loads its data it answers -LOADING.
        return count > 0 && answer.starts(with: "+PONG".utf8)
    }
}
