import Glibc

/// The process's own descriptors.
enum Descriptors {
    /// How many are TCP connections to that port of 127.0.0.1. The whole process's number would change with the tests
    /// that run at the same time.
    static func connected(to port: UInt16) -> Int {
        (0..<Int32(getdtablesize().clamped(to: 65536))).count { descriptor in
            var address = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let result = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) }
            }
            return result == 0 && address.sin_family == sa_family_t(AF_INET)
                && UInt16(bigEndian: address.sin_port) == port
        }
    }
}

extension Int32 {
    fileprivate func clamped(to most: Int32) -> Int32 { Swift.min(self, most) }
}
