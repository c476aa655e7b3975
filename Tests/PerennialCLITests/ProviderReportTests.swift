import ArgumentParser
import PerennialConfiguration
import Providers
import RefreshCore
import Testing

@testable import PerennialCLI

@Suite struct ProviderReportTests {
    private func definition() throws -> ProviderDefinition {
        let configuration = try PerennialConfiguration.parse(
            "providers: { p: { preset: pixiv, client_id: c, client_secret: hunter, vars: { hash_secret: hunter } } }",
            environment: ["HOME": "/tmp"])
        return try ProvidersCommand.find(try ProviderName("p"), in: configuration.providers)
    }

    @Test func aReportTellsEverythingButSecrets() throws {
        let definition = try definition()
        let trial = ProviderTrial(
            definition, .refreshToken(Secret("hunter-token")), moment: WallTime(milliseconds: 1_800_000_000_000))
        let response = RawTokenResponse(
            status: 400, headers: [.init(name: "Set-Cookie", value: "hunter")],
            body: Array(#"{"error":"invalid_grant","token":"hunter-token"}"#.utf8),
            requestedAt: WallTime(milliseconds: 1_800_000_000_000))
        let report = ProviderReport(
            provider: definition.name, request: try trial.maskedRequest(), answer: trial.masked(response),
            explanation: definition.explain(response))
        let text = report.lines.joined(separator: "\n")
        #expect(!text.contains("hunter"), "\(text)")
        #expect(text.contains("POST https://oauth.secure.pixiv.net/auth/token"))
        #expect(text.contains("X-Client-Hash: ***"))
        #expect(text.contains("yes  invalid_grant → refused: everything it asks for holds"))
        #expect(text.contains("class: refused\nmessage: HTTP 400 invalid_grant"))
    }

    @Test func whoeverNamesAnotherProviderHearsOfThoseThereAre() throws {
        let catalog = ProviderCatalog([try definition()])
        for (name, expected) in [
            ("q", "there are p"),
            ("pixiv", "there is a preset of that name: see perennial providers show --preset pixiv"),
        ] {
            do {
                _ = try ProvidersCommand.find(try ProviderName(name), in: catalog)
                Issue.record("found \(name)")
            } catch let failure as CommandFailure {
                #expect(failure.description.contains(expected) || failure.description.contains("did you mean p?"))
            }
        }
    }

    @Test(arguments: [
        ["p", "--status", "400"], ["p", "--header", "A: b"], ["p", "--answer", "x", "--status", "99"],
    ]) func testArgumentsThatMakeNoSense(arguments: [String]) {
        #expect(throws: (any Error).self) { try ProviderTestCommand.parse(arguments) }
    }

    @Test(arguments: [
        ["--field", "password=hunter"], ["--field", "a b"], ["--field-file", "password"], ["--field-file", "=x"],
    ])
    func valuesOnTheCommandLineAreRefused(arguments: [String]) throws {
        let options = try FieldOptions.parse(arguments)
        do {
            _ = try options.read()
            Issue.record("taken")
        } catch {
            #expect(!"\(error)".contains("hunter"))
        }
    }
}
