import Glibc

/// Ports on 127.0.0.1 that stay free while their process is dead: below those that the system gives to outgoing
/// connections.
public enum StablePort {
    /// - Throws: ``ServerFailure`` where there are not so many.
    public static func find(_ count: Int) throws -> [Int] {
        var ports: [Int] = []
        for port in stride(from: Int.random(in: 12_000...28_000), to: 32_000, by: 1) where isFree(port) {
            ports.append(port)
            if ports.count == count { return ports }
        }
        throw ServerFailure("no \(count) free ports below 32000 on 127.0.0.1")
    }

    private static func isFree(_ port: Int) -> Bool {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
