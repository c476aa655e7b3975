import PerennialServers
import Testing

/// Secrets stay where they belong, whatever goes wrong: real processes at their most talkative.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct SecretsTests {
    @Test func noSecretIsInLogsErrorsProcessListsRedisOrFiles() async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        let watch = ProcessWatch(binary)
        await watch.start()
        try await SecretsSite.run { site in
            try await site.live()
            for instance in site.instances { await instance.process.stop() }
            let commandLines = await watch.stop()
            #expect(await watch.looks > 50 && commandLines.count > 20)
            let places = try await site.places() + commandLines.map { ("process list", Array($0.utf8)) }
            #expect(places.count > 200)

            let secrets = await site.secrets.all + site.book.planted + site.leaky.issued
            #expect(secrets.count > 300)
            let scan = SecretScan(secrets)
            // It finds what is there.
            let control = scan.findings(in: Array(try #require(TextFile.read(site.configuration)).utf8))
            #expect(control.map(\.name).contains("a key in a webhook's template"))
            #expect(control.count > 10)

            for (place, bytes) in places {
                for (name, excerpt) in scan.findings(in: bytes) {
                    Issue.record("\(name) is in \(place): \(excerpt)")
                }
            }
        }
    }

    @Test(arguments: [
        "abc \(SecretsTests.sample) def", "abc \(SecretsTests.sample.dropFirst(5).prefix(12))…", "qcI/4+YTVuLnlVZTRi",
        "X-Auth: YXBwOmFCMy94WTcrenE5S3dWMm1Q", "%2FxY7%2Bzq9K", "61 4233", "2f7859372b7a71394b77",
        #"{"a":"aB3\/xY7+zq9KwV2mPsLt"}"#,
    ])
    func aPartInAnyFormIsFound(text: String) {
        let scan = SecretScan([PlantedSecret("it", Self.sample)])
        #expect(scan.findings(in: Array(text.utf8)).isEmpty == ["qcI/4+YTVuLnlVZTRi", "61 4233"].contains(text))
    }

    private static let sample = "aB3/xY7+zq9KwV2mPsLt"
}
