import ArgumentParser
import PerennialConfiguration
import Providers
import RefreshCore
import Testing

@testable import PerennialCLI

struct DemoPlanTests {
    private static func refusal(_ make: () throws(DemoPlan.Invalid) -> DemoPlan) -> String? {
        do throws(DemoPlan.Invalid) {
            _ = try make()
            return nil
        } catch {
            return error.description
        }
    }

    @Test func defaults() throws {
        let plan = try DemoPlan()
        #expect(plan.kill == .leader)
        #expect(plan.skew == .seconds(4))
        #expect(plan.window == .seconds(10))
        #expect(plan.lockTTL == .seconds(4))
        #expect(plan.exchangeDeadline == .seconds(2))
        #expect(plan.leaseTTL == .seconds(2))
        #expect(plan.killAt == .seconds(30))
        #expect(try DemoPlan(instances: 1).kill == .none)
    }

    @Test func nonsenseIsRefusedByTheNameOfTheOption() {
        #expect(
            Self.refusal { () throws(DemoPlan.Invalid) in try DemoPlan(instances: 0) }?.contains("--instances") == true)
        #expect(
            Self.refusal { () throws(DemoPlan.Invalid) in try DemoPlan(instances: 17) }?.contains("--instances") == true
        )
        #expect(
            Self.refusal { () throws(DemoPlan.Invalid) in try DemoPlan(accounts: 0) }?.contains("--accounts") == true)
        #expect(
            Self.refusal { () throws(DemoPlan.Invalid) in try DemoPlan(accounts: 10_001) }?.contains("--accounts")
                == true)
        #expect(
            Self.refusal { () throws(DemoPlan.Invalid) in try DemoPlan(lifetime: .milliseconds(4999)) }?
                .contains("--lifetime") == true)
        #expect(
            Self.refusal { () throws(DemoPlan.Invalid) in try DemoPlan(duration: .seconds(29)) }?
                .contains("--duration has to be at least 30s") == true)
        #expect(
            Self.refusal { () throws(DemoPlan.Invalid) in try DemoPlan(instances: 1, kill: .leader) }?
                .contains("--kill none") == true)
        #expect(Self.refusal { () throws(DemoPlan.Invalid) in try DemoPlan(readsPerSecond: 0) } != nil)
    }

    @Test(arguments: [5, 7, 20, 333, 3600])
    func theConfigurationIsOneThatServeAccepts(lifetime: Int64) throws {
        let plan = try DemoPlan(lifetime: .seconds(lifetime), duration: .seconds(2 * max(lifetime, 10)))
        let text = plan.configuration(directory: "/tmp/demo", tokenURL: "http://127.0.0.1:9/oauth2/token")
        let configuration = try PerennialConfiguration.parse(text, environment: ["HOME": "/nowhere"])
        try configuration.validateForServing(hasKeys: false)
        let provider = try #require(configuration.providers.providers.first)
        let policy = try #require(configuration.providers.policy(for: provider))
        #expect(policy.rotation == .grace(.seconds(10)))
        #expect(policy.skew == plan.skew)
        #expect(policy.window == plan.window)
        #expect(policy.contradiction == nil)
        #expect(configuration.leaseTTL == plan.leaseTTL)
    }

    @Test func firstLifetimesAreSpreadOverHalfALifetime() throws {
        let plan = try DemoPlan(accounts: 10, lifetime: .seconds(20))
        let lifetimes = (0..<10).map(plan.firstLifetime)
        #expect(lifetimes.first == .seconds(20))
        #expect(lifetimes.last == .seconds(29))
        #expect(lifetimes == lifetimes.sorted())
    }

    @Test func commandLine() throws {
        let command = try DemoCommand.parse(["--json", "--lifetime", "10s", "--duration", "1m"])
        #expect(command.json)
        #expect(command.lifetime.value == .seconds(10))
        #expect(command.duration.value == .seconds(60))
        #expect(throws: (any Error).self) { try DemoCommand.parse(["--lifetime", "20"]) }
        #expect(throws: (any Error).self) { try DemoCommand.parse(["--lifetime", "2s"]) }
        #expect(throws: (any Error).self) { try DemoCommand.parse(["--kill", "everybody"]) }
        #expect(throws: (any Error).self) { try DemoCommand.parse(["--instances", "99"]) }
    }
}
