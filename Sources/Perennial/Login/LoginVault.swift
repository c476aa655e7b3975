public import PerennialConfiguration
import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The log-ins of this machine's state directory that have been received and are not known to be in the store: one sealed
/// file each, on disk before anything else is done with the answer, gone once the store has it.
public struct LoginVault: Sendable {
    public let path: String
    private let ring: KeyRing
    private static let suffix = ".login"

    /// Makes nothing; the directory is made with the first log-in.
    ///
    /// - Throws: `SealingError` or ``StartError`` when the sealing keys cannot be read.
    public init(_ configuration: PerennialConfiguration) throws {
        let state = try StateDirectory(creating: configuration.stateDirectory)
        path = state.logins
        ring = try Instance.keyRing(configuration, state: state)
    }

    private func file(_ attempt: String) -> String { "\(path)/\(attempt)\(Self.suffix)" }
    private func place(_ attempt: String) -> KeyRing.Place { .init(purpose: "login \(attempt)") }

    /// Returns only when the log-in is on disk (fsync).
    ///
    /// - Throws: ``StartError``, or `SealingError`: what cannot be sealed is not written.
    public func keep(_ login: KeptLogin) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StartError("the directory \(path) cannot be made")
        }
        let sealed = try ring.seal(Array(try JSONEncoder().encode(login)), at: place(login.attempt))
        try PrivateFile.replace(file(login.attempt), contents: Data(sealed).base64EncodedString())
        PrivateFile.syncDirectory(path)
    }

    /// Forgets a log-in that the store has, or that is of no use.
    public func drop(_ attempt: String) {
        try? FileManager.default.removeItem(atPath: file(attempt))
        PrivateFile.syncDirectory(path)
    }

    /// The names of those that are kept, in order.
    public func attempts() -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasSuffix(Self.suffix) }.map { String($0.dropLast(Self.suffix.count)) }.sorted()
    }

    /// - Throws: ``StartError`` where there is none of that name or it cannot be read, `SealingError` where no key at hand
    ///   opens it.
    public func open(_ attempt: String) throws -> KeptLogin {
        guard attempts().contains(attempt), let text = try? Data(contentsOf: URL(filePath: file(attempt))) else {
            throw StartError("there is no kept log-in \(attempt) in \(path)")
        }
        guard let sealed = Data(base64Encoded: text) else {
            throw StartError("the kept log-in \(attempt) is damaged")
        }
        let bytes = try ring.open(Array(sealed), at: place(attempt))
        guard let login = try? JSONDecoder().decode(KeptLogin.self, from: Data(bytes)) else {
            throw StartError("the kept log-in \(attempt) cannot be read by this version")
        }
        return login
    }
}
