import MockProvider
import PerennialServers

/// An identity provider with a rotation of its own, and a wire of its own to it for each instance.
struct ChaosProvider: Sendable {
    let rotation: Rotation
    let mock: MockProcess
    /// By instance; the first is that of instance 1.
    let wires: [FaultProxy]
    /// What has passed over the wires.
    let log = WireLog()

    var name: String { rotation.provider }

    static func start(_ rotation: Rotation, plan: ChaosPlan, workshop: Workshop) async throws -> ChaosProvider {
        let mock = try await MockProcess.start(
            workshop, latency: "\(ChaosPlan.latency.milliseconds)ms",
            options: [
                "--rotation", rotation.option, "--lifetime", "\(plan.lifetime.milliseconds)ms", "--seed",
                String(plan.seed &+ (rotation == .grace ? 1 : 0)), "--ledger-capacity", "10000000",
            ])
        return try await ChaosProvider(rotation: rotation, mock: mock, instances: plan.instances)
    }

    private init(rotation: Rotation, mock: MockProcess, instances: Int) async throws {
        self.rotation = rotation
        self.mock = mock
        var wires: [FaultProxy] = []
        for (instance, port) in zip(1..., try FreePort.find(instances)) {
            wires.append(
                try await FaultProxy.start(to: .port(mock.port), port: port) { [log] in log.tap(instance: instance) })
        }
        self.wires = wires
    }

    func tokenURL(for instance: Int) -> String { "http://127.0.0.1:\(wires[instance - 1].port)/oauth2/token" }

    func heal() async throws {
        for wire in wires {
            wire.loseAnswers(0)
            wire.set(.init())
            try await wire.listenAgain()
        }
        try await mock.setFaults([])
    }

    func stop() async {
        for wire in wires { await wire.close() }
    }
}
