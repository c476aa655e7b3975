import Glibc
import NIOConcurrencyHelpers

/// A TCP port on 127.0.0.1 that nobody listens on, below those that the system gives to outgoing connections: it stays free
/// while its process is dead.
public enum FreePort {
    public struct NoneFound: Error, CustomStringConvertible {
        public let description = "no free port below 32000 on 127.0.0.1"
    }

    private static let range = 12_000..<32_000
    /// Where to look next: what has been found is not found again before all others have been.
    private static let place = NIOLockedValueBox(Int.random(in: range))

    /// The port is free at this moment; another process may take it before the caller does.
    public static func find() throws(NoneFound) -> Int {
        let found = place.withLockedValue { place -> Int? in
            for _ in range {
                let port = place
                place = port + 1 < range.upperBound ? port + 1 : range.lowerBound
                if isFree(port) { return port }
            }
            return nil
        }
        guard let found else { throw NoneFound() }
        return found
    }

    /// - Parameter count: far less than there are ports.
    public static func find(_ count: Int) throws(NoneFound) -> [Int] {
        var ports: [Int] = []
        for _ in 0..<count { ports.append(try find()) }
        return ports
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
