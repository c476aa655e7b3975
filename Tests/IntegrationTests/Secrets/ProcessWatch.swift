import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The command lines of the processes of one program and of those that they start, looked at again and again: what `ps`
/// would have shown of them.
actor ProcessWatch {
    private let program: String
    private var seen: Set<String> = []
    private(set) var looks = 0
    private var task: Task<Void, Never>?

    /// - Parameter program: its path, as the system knows it.
    init(_ program: String) {
        self.program = program
    }

    func start() {
        task = Task {
            while !Task.isCancelled {
                self.look()
                try? await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// - Returns: every command line that was seen.
    func stop() -> Set<String> {
        task?.cancel()
        look()
        return seen
    }

    private func look() {
        looks += 1
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        for name in names where name.allSatisfy(\.isNumber) {
            guard isOurs(name) || parent(name).map({ isOurs($0) }) == true else { continue }
            if let line = TextFile.read("/proc/\(name)/cmdline"), !line.isEmpty { seen.insert(line) }
        }
    }

    private func isOurs(_ process: String) -> Bool {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/exe")) == program
    }

    private func parent(_ process: String) -> String? {
        // "pid (name) state parent …"; the name may hold anything.
        guard let text = TextFile.read("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let words = text[end...].split(separator: " ")
        return words.count > 2 ? String(words[2]) : nil
    }
}
