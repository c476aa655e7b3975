import Glibc

/// A TCP port on 127.0.0.1 that nobody listens on.
public enum FreePort {
    public struct NoneFound: Error, CustomStringConvertible {
        public let description = "no free port on 127.0.0.1"
    }

    /// The port is free at this moment; another process may take it before the caller does.
    public static func find() throws(NoneFound) -> Int {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw NoneFound() }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, length) == 0 && getsockname(socket, address, &length) == 0
            }
        }
        guard isBound else { throw NoneFound() }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
