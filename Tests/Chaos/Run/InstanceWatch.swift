import NIOConcurrencyHelpers

/// Notices instances that end although nobody told them to, and starts them again so that the run goes on.
final class InstanceWatch: Sendable {
    private let instances: [ChaosInstance]
    private let box = NIOLockedValueBox<[String]>([])

    init(_ instances: [ChaosInstance]) { self.instances = instances }

    /// What ended, in words.
    var ends: [String] { box.withLockedValue { $0 } }

    /// Watches until cancelled.
    func run() async {
        while !Task.isCancelled {
            for instance in instances {
                guard let end = await instance.unexpectedEnd() else { continue }
                box.withLockedValue { $0.append(end) }
                try? await instance.start()
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }
}
