import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The command lines of all processes of the machine, looked at again and again: what `ps` would have shown.
actor ProcessWatch {
    private var seen: Set<String> = []
    private(set) var looks = 0
    private var task: Task<Void, Never>?

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
            if let line = TextFile.read("/proc/\(name)/cmdline"), !line.isEmpty { seen.insert(line) }
        }
    }
}
