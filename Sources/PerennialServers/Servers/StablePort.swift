/// Ports on 127.0.0.1 that stay free while their process is dead.
public enum StablePort {
    /// - Parameter count: far less than there are ports.
    /// - Throws: ``FreePort/NoneFound`` where there are none.
    public static func find(_ count: Int) throws -> [Int] {
        try (0..<count).map { _ in try FreePort.find() }
    }
}
