import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A problem with this machine's files or programs that a person has to solve.
package struct StartError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// What an instance keeps on disk: journals, the sealing key of the embedded default, the embedded Redis.
package struct StateDirectory: Sendable, Hashable {
    package let path: String

    /// Makes the directory, mode 0700, if it is not there.
    ///
    /// - Throws: ``StartError`` when it cannot be made or is no directory.
    package init(creating path: String) throws(StartError) {
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

    package var journals: String { "\(path)/journal" }
    /// Log-ins that are not known to be stored.
    package var logins: String { "\(path)/logins" }
    /// Accounts that were acquired and are not known to be stored.
    package var acquisitions: String { "\(path)/acquired" }
    /// For bodies of requests to the gateway, where the configuration names no other place.
    var spill: String { "\(path)/spill" }
    package var embeddedRedis: String { "\(path)/redis" }
    package var sealingKey: String { "\(path)/sealing.key" }

    /// Makes the directory for bodies of requests, mode 0700, if it is not there.
    ///
    /// - Throws: ``StartError`` when it cannot be made, or no file in it.
    func makeSpill(_ path: String?) throws(StartError) -> String {
        let path = path ?? spill
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StartError("the directory \(path) for bodies of requests cannot be made: see gateway.spill_dir")
        }
        guard access(path, W_OK | X_OK) == 0 else {
            throw StartError(
                "no files can be made in \(path), the directory for bodies of requests: see gateway.spill_dir")
        }
        return path
    }

    /// The key ring of the embedded default: read, or made at the first start with mode 0600.
    ///
    /// - Throws: ``StartError`` or ``SealingError``.
    package func ownKeyRing() throws -> KeyRing {
        if FileManager.default.fileExists(atPath: sealingKey) { return try KeyRing(file: sealingKey) }
        let text = "# Perennial's sealing key. Without it the tokens in this directory cannot be read: back it up.\n"
        try PrivateFile.create(sealingKey, contents: text + SealingKey.generate().revealBase64() + "\n")
        return try KeyRing(file: sealingKey)
    }
}
