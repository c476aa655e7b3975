import CurlClient
import NIOConcurrencyHelpers

/// Follows the instances: who leads, how many refreshes each has made, and whether one has ended unasked.
final class FleetWatch: Sendable {
    private struct State {
        var refreshes: [Int: Int] = [:]
        /// The numbers of those that say of themselves that they lead.
        var claiming: [Int] = []
        var history = LeaderHistory()
        var killed: Set<Int> = []
        var ended: [Int: ProcessEnding] = [:]
        var event = ""
    }

    /// Between two rounds of questions while nothing special happens.
    static let pace = Duration.milliseconds(500)

    let instances: [DemoInstance]
    private let client: CurlClient
    private let state = NIOLockedValueBox(State())

    init(_ instances: [DemoInstance], client: CurlClient) {
        self.instances = instances
        self.client = client
    }

    /// Whether an instance says that it is ready.
    static func isReady(_ instance: DemoInstance, client: CurlClient) async -> Bool {
        let request = CurlRequest(
            url: "\(instance.url)/readyz", connectTimeout: .seconds(1), totalTimeout: .seconds(2))
        return (try? await client.execute(request))?.status == 200
    }

    /// Asks until cancelled.
    func run() async {
        while !Task.isCancelled {
            await poll()
            try? await Task.sleep(for: Self.pace)
        }
    }

    /// Asks each living instance for its own view of itself.
    func poll() async {
        for instance in instances {
            guard let ending = instance.process.ending else { continue }
            state.withLockedValue { state in
                if !state.killed.contains(instance.number) { state.ended[instance.number] = ending }
            }
        }
        let living = state.withLockedValue { state in
            instances.filter { !state.killed.contains($0.number) && state.ended[$0.number] == nil }
        }
        let views = await withTaskGroup(of: (Int, FleetView.Instance?).self) { group in
            for instance in living {
                group.addTask { [client] in
                    let request = CurlRequest(
                        url: "\(instance.url)/v1/instances", connectTimeout: .seconds(1), totalTimeout: .seconds(2))
                    let response = try? await client.execute(request)
                    let view = response.flatMap { $0.status == 200 ? FleetView($0.body) : nil }
                    return (instance.number, view?.instance(pid: instance.process.pid))
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        state.withLockedValue { state in
            for (number, view) in views { state.refreshes[number] = max(view.refreshes, state.refreshes[number] ?? 0) }
            // Killed while its answer was on the way: what it said does not count any more.
            state.claiming = views.filter { $0.value.leader && !state.killed.contains($0.key) }.keys.sorted()
            state.history.observe(claiming: state.claiming)
        }
    }

    /// The living instance that leads, as far as is known.
    var leader: DemoInstance? {
        let number = state.withLockedValue { state in
            state.history.leader.flatMap { state.claiming.contains($0) ? $0 : nil }
        }
        return instances.first { $0.number == number }
    }

    /// SIGKILL.
    func kill(_ instance: DemoInstance) {
        state.withLockedValue { state in
            state.killed.insert(instance.number)
            state.claiming.removeAll { $0 == instance.number }
        }
        instance.process.signal(9)
    }

    var killed: Set<Int> { state.withLockedValue { $0.killed } }
    var leaderChanges: Int { state.withLockedValue { $0.history.changes } }

    /// Those that ended though nobody told them to.
    var incidents: [String] {
        state.withLockedValue { $0.ended }.sorted { $0.key < $1.key }.map {
            "instance \($0.key) ended by itself: \($0.value)"
        }
    }

    var event: String {
        get { state.withLockedValue { $0.event } }
        set { state.withLockedValue { $0.event = newValue } }
    }

    /// The instances as they are shown.
    var scene: [DemoScene.Instance] {
        let state = state.withLockedValue { $0 }
        return instances.map { instance in
            let number = instance.number
            let shown: DemoScene.Instance.State =
                if state.killed.contains(number) {
                    .killed
                } else if let ending = state.ended[number] {
                    .ended("\(ending)")
                } else {
                    state.claiming.contains(number) ? .leader : .follower
                }
            return DemoScene.Instance(
                number: number, pid: instance.process.pid, address: instance.address, state: shown,
                refreshes: state.refreshes[number] ?? 0)
        }
    }
}
