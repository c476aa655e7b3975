import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A folder of sealed files, one for each thing that has been received and is not known to be in the store: on disk before
/// anything else is done with it, gone once the store has it.
struct SealedVault<Item: Codable>: Sendable {
    let path: String
    /// What people call such a thing; also part of what each file is sealed for.
    private let what: String
    private let suffix: String
    private let ring: KeyRing

    /// Makes nothing; the folder is made with the first file.
    init(path: String, of what: String, suffix: String, ring: KeyRing) {
        self.path = path
        self.what = what
        self.suffix = ".\(suffix)"
        self.ring = ring
    }

    private func file(_ name: String) -> String { "\(path)/\(name)\(suffix)" }
    private func place(_ name: String) -> KeyRing.Place { .init(purpose: "\(what) \(name)") }

    /// Returns only when it is on disk (fsync).
    ///
    /// - Throws: ``StartError``, or `SealingError`: what cannot be sealed is not written.
    func keep(_ item: Item, as name: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StartError("the directory \(path) cannot be made")
        }
        let sealed = try ring.seal(Array(try JSONEncoder().encode(item)), at: place(name))
        try PrivateFile.replace(file(name), contents: Data(sealed).base64EncodedString())
        PrivateFile.syncDirectory(path)
    }

    /// Forgets what the store has, or what is of no use.
    func drop(_ name: String) {
        try? FileManager.default.removeItem(atPath: file(name))
        PrivateFile.syncDirectory(path)
    }

    /// In order.
    func names() -> [String] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return files.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }.sorted()
    }

    /// - Throws: ``StartError`` where there is none of that name or it cannot be read, `SealingError` where no key at hand
    ///   opens it.
    func open(_ name: String) throws -> Item {
        guard names().contains(name), let text = try? Data(contentsOf: URL(filePath: file(name))) else {
            throw StartError("there is no kept \(what) \(name) in \(path)")
        }
        guard let sealed = Data(base64Encoded: text) else { throw StartError("the kept \(what) \(name) is damaged") }
        let bytes = try ring.open(Array(sealed), at: place(name))
        guard let item = try? JSONDecoder().decode(Item.self, from: Data(bytes)) else {
            throw StartError("the kept \(what) \(name) cannot be read by this version")
        }
        return item
    }
}
