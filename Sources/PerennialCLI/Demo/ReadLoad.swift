import CurlClient
import NIOConcurrencyHelpers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Reads tokens through all instances at a steady rate, and checks every one it is given.
final class ReadLoad: Sendable {
    /// One token in this many is used at the provider's resource.
    static let useEvery = 10
    /// Reads under way at once; more would only measure this process.
    static let limit = 1000

    private struct State {
        var tally = ReadTally()
        var rotation: InstanceRotation
        var isSteady = true
        var isStopped = false
        var underWay = 0
        var skipped = 0
    }

    private let client: CurlClient
    private let accounts: [String]
    /// `http://HOST:PORT` of each instance.
    private let instances: [String]
    private let resource: String
    private let rate: Int
    private let state: NIOLockedValueBox<State>

    init(client: CurlClient, accounts: [String], instances: [String], resource: String, rate: Int) {
        self.client = client
        self.accounts = accounts
        self.instances = instances
        self.resource = resource
        self.rate = rate
        state = NIOLockedValueBox(State(rotation: InstanceRotation(count: instances.count)))
    }

    var tally: ReadTally { state.withLockedValue { $0.tally } }

    /// Reads that were not even begun because too many were under way: then the load was less than planned.
    var skipped: Int { state.withLockedValue { $0.skipped } }

    /// From now on a read may wait for a refresh.
    func endSteadyState() {
        state.withLockedValue { $0.isSteady = false }
    }

    /// No new reads; ``run()`` returns when those under way have ended.
    func stop() {
        state.withLockedValue { $0.isStopped = true }
    }

    /// Reads until it is stopped or cancelled.
    func run() async {
        let start = ContinuousClock.now
        var begun = 0
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled, !state.withLockedValue({ $0.isStopped }) {
                // What is due by the clock, so that a late wake-up does not lower the rate.
                let due = Int((ContinuousClock.now - start) / Duration.seconds(1) * Double(rate))
                while begun < due {
                    let read = begun
                    begun += 1
                    let hasRoom = state.withLockedValue { state in
                        guard state.underWay < Self.limit else {
                            state.skipped += 1
                            return false
                        }
                        state.underWay += 1
                        return true
                    }
                    guard hasRoom else { continue }
                    group.addTask {
                        await self.read(read)
                        self.state.withLockedValue { $0.underWay -= 1 }
                    }
                }
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    private func read(_ number: Int) async {
        // Each account through each instance in turn.
        let account = (number / instances.count) % accounts.count
        let start = ContinuousClock.now
        let (order, isSteady) = state.withLockedValue { ($0.rotation.order(for: number, now: start), $0.isSteady) }
        var reason = ""
        for (attempt, instance) in order.enumerated() {
            let request = CurlRequest(
                url: "\(instances[instance])/v1/accounts/\(accounts[account])/token", connectTimeout: .seconds(2),
                totalTimeout: .seconds(15))
            do {
                let response = try await client.execute(request)
                if response.status == 200, let reading = TokenReading(response.body) {
                    let now = Date().timeIntervalSince1970
                    state.withLockedValue {
                        $0.tally.record(
                            .served(reading), account: account, attempts: attempt + 1,
                            latency: ContinuousClock.now - start, isSteady: isSteady, now: now)
                    }
                    if number % Self.useEvery == 0 || reading.isDoubtful(at: now) {
                        await use(reading, account: account, at: now)
                    }
                    return
                }
                reason = Self.reason(response)
            } catch {
                // Only the end of the demo cancels.
                if error.code == .cancelled || error.code == .shutDown { return }
                reason = "\(error.code)"
                if error.code == .connect {
                    state.withLockedValue { $0.rotation.markDown(instance, now: ContinuousClock.now) }
                }
            }
        }
        let last = reason
        state.withLockedValue {
            $0.tally.record(
                .failed(reason: last), account: account, attempts: order.count, latency: ContinuousClock.now - start,
                isSteady: isSteady, now: 0)
        }
    }

    /// Does with the token what a caller would.
    private func use(_ reading: TokenReading, account: Int, at arrival: Double) async {
        let request = CurlRequest(url: resource, headers: [("Authorization", "Bearer \(reading.accessToken)")])
        // That the provider could not be reached says nothing about the token.
        guard let response = try? await client.execute(request) else { return }
        let now = Date().timeIntervalSince1970
        state.withLockedValue {
            $0.tally.recordUse(
                of: reading, account: account, accepted: response.status == 200,
                wasExpired: reading.isExpired(at: arrival), now: now)
        }
    }

    private struct Problem: Decodable {
        var type: String?
        var title: String?
    }

    /// Status and title of the problem; never what a token could stand in.
    private static func reason(_ response: CurlResponse) -> String {
        let problem = try? JSONDecoder().decode(Problem.self, from: Data(response.body))
        return "\(response.status)" + (problem?.title.map { " \($0)" } ?? "")
    }
}
