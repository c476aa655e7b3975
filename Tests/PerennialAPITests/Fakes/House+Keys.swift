import RefreshCore

@testable import PerennialAPI

extension House {
    /// Keys with one scope each, and their texts.
    func keys(_ scopes: Scope...) throws -> (CallerKeys, [String]) {
        let directory = try AuthenticationTests.KeyDirectory()
        let texts = try scopes.map { scope in
            try directory.file.create(name: scope.rawValue, scopes: [scope], now: time.wall()).text.reveal()
        }
        // Read once: time stands, so nobody looks at the file again.
        return (try CallerKeys(file: directory.file, time: time, logger: AuthenticationTests.quiet), texts)
    }
}
