import Logging
import MockProvider
import Perennial
import PerennialConfiguration
import RedisClient
import RedisStore
import RefreshCore
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Chains that are cut off between the step that brings a refresh token and the one that spends it.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct HalfDoneAcquisitionTests {
    private let pool = try! PoolName("warp")

    /// The second step is the provider's own refresh, which rotates.
    private static func pools(_ port: Int) -> String {
        WarpSection.yaml(["min_interval: 1s"], port: port, refreshes: true)
    }

    private func members(_ fleet: Fleet) async throws -> [AccountSnapshot] {
        try await RedisPoolStore(
            link: fleet.instances[0].link, origin: fleet.instances[0].id, logger: Logger(label: "test")
        ).members(of: pool)
    }

    private func folder(_ fleet: Fleet) -> String { fleet.instances[0].configuration.stateDirectory + "/acquired" }

    @Test func aReceivedTokenSurvivesAFailingStepAndIsNoSecondAccount() async throws {
        let setup = Fleet.Setup(
            instances: 1, faults: ["error-before:503"], refresh: "{ proactive: true }", more: Self.pools)
        try await Fleet.run(setup) { fleet in
            let folder = folder(fleet)
            let link = fleet.instances[0].link
            let key = link.keys.acquisition(pool)
            try await eventually("the second step has failed") {
                try await link.client.send(RedisCommand("HGET", key, "error")).string == "step refresh: HTTP 503"
            }
            let files = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(files.count == 1)
            let text = try String(contentsOfFile: "\(folder)/\(files[0])", encoding: .utf8)
            #expect(!text.contains("refresh_token"), "it is sealed")
            let seeded = fleet.mock.totals().accounts
            #expect(seeded == 1)

            try fleet.mock.setFaults([])
            _ = try await link.client.send(RedisCommand("HDEL", key, "next_at"))
            // The leader looks at its pools at the latest when it is told of a change.
            try await eventually("it is gone on with", within: .seconds(60)) {
                try await members(fleet).first != nil
            }
            #expect(fleet.mock.totals().accounts == seeded, "no second account was made")
            try await eventually("nothing is left on disk") {
                try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty
            }
            try await eventually("its token was the live one") {
                try await members(fleet).first?.generation == Generation(2)
            }
        }
    }
}
