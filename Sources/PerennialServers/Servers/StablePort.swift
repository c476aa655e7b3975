/// Ports on 127.0.0.1 that stay free while their process is dead.
public enum StablePort {
    /// - Throws: ``FreePort/NoneFound`` where there are not so many.
    public static func find(_ count: Int) throws -> [Int] {
        try (0..<count).map { _ in try FreePort.find() }
    }
}
