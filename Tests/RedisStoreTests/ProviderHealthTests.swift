import PerennialTesting
import RefreshCore
import Testing

@testable import RedisStore

/// Which instance tells the fleet what of a provider's configuration.
@Suite(.timeLimit(.minutes(10)))
struct ProviderHealthTests {
    @Test(arguments: [(false, Duration.seconds(61)), (true, .seconds(901))])
    func whoHasToldNoticesThatItIsNewsAgain(isFrugal: Bool, later: Duration) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            let time = ManualTimeSource()
            let (one, two) = (
                ProviderHealth(link: fixture.link, origin: try InstanceID("one"), time: time),
                ProviderHealth(link: fixture.link, origin: try InstanceID("two"), time: time)
            )
            func told() async throws -> [String] {
                try await RedisEventStream(link: fixture.link).read(0, after: .start, limit: 100).events.map(\.type)
            }
            await one.misconfigured(StoreFixture.provider, "invalid_client")
            await two.works(StoreFixture.provider, wasMet: true)
            #expect(try await told() == ["provider.misconfigured", "provider.recovered"])
            // Broken again: this instance has no reason to think that it ever worked.
            await one.misconfigured(StoreFixture.provider, "invalid_client")
            time.advance(by: later)
            await one.misconfigured(StoreFixture.provider, "invalid_client")
            await one.misconfigured(StoreFixture.provider, "invalid_client")
            #expect(
                try await told() == ["provider.misconfigured", "provider.recovered", "provider.misconfigured"])
        }
    }
}
