import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A problem with this machine's files or programs that a person has to solve.
public struct StartError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// What an instance keeps on disk: journals, the sealing key of the embedded default, the embedded Redis.
public struct StateDirectory: Sendable, Hashable {
    public let path: String

    /// Makes the directory, mode 0700, if it is not there.
    ///
    /// - Throws: ``StartError`` when it cannot be made or is no directory.
    public init(creating path: String) throws(StartError) {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StartError(
                "the state directory \(path) cannot be made: choose another one with --state-dir or state_dir")
        }
    }

    /// A directory that is looked at only.
    init(existing path: String) {
        self.path = path
    }

    public var journals: String { "\(path)/journal" }
    /// Log-ins that are not known to be stored.
    public var logins: String { "\(path)/logins" }
    /// Accounts that were acquired and are not known to be stored.
    public var acquisitions: String { "\(path)/acquired" }
    public var embeddedRedis: String { "\(path)/redis" }
    public var sealingKey: String { "\(path)/sealing.key" }

    /// The key ring of the embedded default: read, or made at the first start with mode 0600.
    ///
    /// - Throws: ``StartError`` or ``SealingError``.
    public func ownKeyRing() throws -> KeyRing {
        if FileManager.default.fileExists(atPath: sealingKey) { return try KeyRing(file: sealingKey) }
        let text = "# Perennial's sealing key. Without it the tokens in this directory cannot be read: back it up.\n"
        try PrivateFile.create(sealingKey, contents: text + SealingKey.generate().revealBase64() + "\n")
        return try KeyRing(file: sealingKey)
    }
}
