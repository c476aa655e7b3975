import JSONText
import RefreshCore

/// A key file that cannot be used, or a change to it that did not work; names the file and the entry.
public struct CallerKeyFileError: Error, Sendable, Hashable, CustomStringConvertible {
    public struct Code: Sendable, Hashable {
        private let value: String
        /// There is no such file.
        public static let missing = Code(value: "missing")
        /// It could not be read or written.
        public static let inaccessible = Code(value: "inaccessible")
        /// It is not a key file.
        public static let malformed = Code(value: "malformed")
        /// What was asked for is not acceptable: a name, an empty set of scopes.
        public static let invalidKey = Code(value: "invalidKey")
    }

    public let code: Code
    public let path: String
    public let reason: String

    init(_ code: Code, _ path: String, _ reason: String) {
        self.code = code
        self.path = path
        self.reason = reason
    }

    public var description: String { "key file \(path): \(reason)" }
}

/// The file with the digests of the callers' keys:
/// `{"keys":[{"id","name","scopes":["read"],"sha256":"<hexadecimal>","created_at"}]}`.
public struct CallerKeyFile: Sendable {
    public let path: String

    public init(path: String) {
        self.path = path
    }

    /// All keys of the file.
    public func load() throws(CallerKeyFileError) -> [CallerKey] {
        do {
            return try Self.parse(try DurableFile.read(path, limit: 1 << 20))
        } catch let error as DurableFile.Failure {
            throw CallerKeyFileError(error.isMissing ? .missing : .inaccessible, path, error.reason)
        } catch let error as Defect {
            throw CallerKeyFileError(.malformed, path, error.reason)
        } catch {
            throw CallerKeyFileError(.malformed, path, "it cannot be read")
        }
    }

    /// Adds a new key and returns its text, which is kept nowhere. Creates the file (mode 0600) where there is none.
    public func create(name: String, scopes: Set<Scope>, now: WallTime) throws(CallerKeyFileError) -> (
        text: Secret, key: CallerKey
    ) {
        guard !scopes.isEmpty else { throw CallerKeyFileError(.invalidKey, path, "a key needs at least one scope") }
        guard (1...100).contains(name.count), name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
        else {
            throw CallerKeyFileError(
                .invalidKey, path, "the name of a key has 1 to 100 characters and no control characters")
        }
        let (text, key) = CallerKey.generate(name: name, scopes: scopes, now: now)
        try change { keys in
            keys.append(key)
            return true
        }
        return (text, key)
    }

    /// Removes the key with that id; false when there is none.
    public func revoke(id: String) throws(CallerKeyFileError) -> Bool {
        try change { keys in
            let before = keys.count
            keys.removeAll { $0.id == id }
            return keys.count < before
        }
    }

    /// Reads, changes and replaces the file under a lock, so that two commands at once lose nothing.
    @discardableResult
    private func change(_ body: (inout [CallerKey]) -> Bool) throws(CallerKeyFileError) -> Bool {
        do {
            return try DurableFile.withLock(path + ".lock") {
                var keys: [CallerKey]
                do {
                    keys = try Self.parse(try DurableFile.read(path, limit: 1 << 20))
                } catch let error as DurableFile.Failure where error.isMissing {
                    keys = []
                }
                guard body(&keys) else { return false }
                try DurableFile.replace(path, with: Self.render(keys))
                return true
            }
        } catch let error as DurableFile.Failure {
            throw CallerKeyFileError(.inaccessible, path, error.reason)
        } catch let error as Defect {
            throw CallerKeyFileError(.malformed, path, error.reason)
        } catch {
            throw CallerKeyFileError(.inaccessible, path, "it cannot be changed")
        }
    }

    private struct Defect: Error {
        var reason: String
    }

    private static func render(_ keys: [CallerKey]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("keys")
            writer.array(keys) { writer, key in
                writer.object { writer in
                    writer.key("id")
                    writer.string(key.id)
                    writer.key("name")
                    writer.string(key.name)
                    writer.key("scopes")
                    writer.array(Scope.allCases.filter(key.scopes.contains)) { $0.string($1.rawValue) }
                    writer.key("sha256")
                    writer.string(key.digest.hexadecimal)
                    writer.key("created_at")
                    writer.time(Timestamp(key.createdAt))
                }
            }
        }
        return writer.bytes + [0x0a]
    }

    private static func parse(_ bytes: [UInt8]) throws -> [CallerKey] {
        let document: JSONValue
        do {
            document = try JSONReader.parse(bytes)
        } catch {
            throw Defect(reason: "it is not JSON: \(error)")
        }
        guard case .object(let members) = document, members.count == 1, members[0].name == "keys",
            case .array(let entries) = members[0].value
        else { throw Defect(reason: "it has to be an object with the one field \"keys\", an array") }
        var keys: [CallerKey] = []
        for (index, entry) in entries.enumerated() {
            let key = try parse(entry, label: "entry \(index + 1)")
            if keys.contains(where: { $0.id == key.id }) {
                throw Defect(reason: "entry \(index + 1): id \"\(key.id)\" is there twice")
            }
            keys.append(key)
        }
        return keys
    }

    private static func parse(_ entry: JSONValue, label: String) throws -> CallerKey {
        guard case .object(let members) = entry else { throw Defect(reason: "\(label) is not an object") }
        var fields: [String: JSONValue] = [:]
        for member in members { fields[member.name] = member.value }
        func text(_ name: String) throws -> String {
            guard case .string(let value) = fields.removeValue(forKey: name), !value.isEmpty else {
                throw Defect(reason: "\(label): \(name) is missing or not a string")
            }
            return value
        }
        let id = try text("id")
        let label = "\(label) (id \(JSONFields.shown(id)))"
        let name = try text("name")
        guard let digest = Hexadecimal.decode(try text("sha256")).flatMap(KeyDigest.init) else {
            throw Defect(reason: "\(label): sha256 is not 64 hexadecimal digits")
        }
        guard let createdAt = Timestamp.parse(try text("created_at")) else {
            throw Defect(reason: "\(label): created_at is not a time like 2026-01-31T12:00:00Z")
        }
        guard case .array(let list) = fields.removeValue(forKey: "scopes"), !list.isEmpty else {
            throw Defect(reason: "\(label): scopes is missing, empty or not an array")
        }
        var scopes: Set<Scope> = []
        for item in list {
            guard case .string(let word) = item, let scope = Scope(rawValue: word) else {
                throw Defect(reason: "\(label): scopes may hold \"read\", \"refresh\" and \"admin\" only")
            }
            scopes.insert(scope)
        }
        if let unknown = fields.keys.min() {
            throw Defect(reason: "\(label): unknown field \(JSONFields.shown(unknown))")
        }
        return CallerKey(id: id, name: name, scopes: scopes, digest: digest, createdAt: createdAt)
    }
}
