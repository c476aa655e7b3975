import CurlClient
import PerennialServers
import Sealing
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Secrets stay where they belong, whatever goes wrong: real processes at their most talkative.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SecretsTests {
    @Test func noSecretIsInLogsErrorsProcessListsOrRedis() async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary, prefix: "sec") { workshop in
            let watch = ProcessWatch()
            await watch.start()
            let site = try await SecretsSite(workshop)
            try await site.live()
            let commandLines = await watch.stop()
            #expect(await watch.looks > 50)
            let places = try await site.places() + commandLines.map { ("process list", Array($0.utf8)) }
            #expect(places.count > 20)

            // The scan finds what is there.
            let control = try #require(site.secrets.first)
            #expect(control.isIn(Array(try #require(TextFile.read(site.configuration)).utf8)))

            for (place, bytes) in places {
                for secret in site.secrets where secret.isIn(bytes) {
                    Issue.record("\(secret.name) is in \(place): \(excerpt(bytes))")
                }
            }
        }
    }

    private func excerpt(_ bytes: [UInt8]) -> String { String(String(decoding: bytes, as: UTF8.self).suffix(600)) }
}
