import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Programs in Python that the tests talk to, with the packages of `requirements.txt` beside this file.
enum PythonPeer {
    /// The interpreter that `deploy/test` sets up.
    ///
    /// - Throws: ``ServerFailure`` where it has not.
    static func interpreter() throws -> String {
        let root = folder.components(separatedBy: "/Tests/IntegrationTests/").first ?? ""
        let python = "\(root)/.build-peers/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw ServerFailure("there is no \(python): run deploy/test, which makes it")
        }
        return python
    }

    /// A program beside this file.
    static func program(_ name: String) -> String { "\(folder)/\(name)" }

    /// Where the programs are.
    static let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        .joined(separator: "/")
}
