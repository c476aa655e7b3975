import ConfigurationFile
import RefreshCore
import Testing

@testable import Webhooks

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

struct CatalogTests {
    static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    private func read(_ yaml: String) throws -> WebhookCatalog {
        let issues = ConfigurationIssues()
        let document = try ConfigurationDocument(Array(yaml.utf8), file: "test.yaml")
        let catalog = document.read(environment: [:], issues: issues) { top in
            top.section("webhooks") { WebhookCatalog.read($0) } ?? WebhookCatalog()
        }
        try issues.throwIfAny()
        return catalog
    }

    private func errors(_ yaml: String) -> String {
        do {
            _ = try read(yaml)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func anEndpointTakesALine() throws {
        let catalog = try read(
            "webhooks:\n  ops: { url: \"https://hooks.slack.com/services/T0/B0/planted\", format: slack }\n")
        let endpoint = try #require(catalog["ops"])
        #expect(endpoint.body.format == .slack)
        #expect(endpoint.maskedURL == "https://hooks.slack.com/***")
        #expect(endpoint.timeout == .seconds(10) && endpoint.maxAge == .seconds(86_400))
        #expect(!endpoint.selection.includes(type: EventType.refreshed))
        let shown = endpoint.settings.map { "\($0.key): \($0.value)" }.joined(separator: "\n")
        var dumped = ""
        dump(endpoint, to: &dumped)
        #expect(!shown.contains("planted") && !dumped.contains("planted"))
    }

    @Test func everythingCanBeSet() throws {
        let endpoint = try #require(
            try read(
                """
                webhooks:
                  ops:
                    url: http://127.0.0.1:9000/hook
                    secrets: ["\(Self.secret)", "whsec_\(Data(repeating: 7, count: 32).base64EncodedString())"]
                    events: ["account.*", "token.refreshed", "!account.removed"]
                    accounts: prod-*
                    providers: [acme]
                    headers: { Authorization: Bearer planted }
                    template: '{"a": "{{account}}"}'
                    timeout: 3s
                    max_age: 2h
                    backoff: { base: 100ms, cap: 2s }
                """)["ops"])
        #expect(endpoint.secrets.count == 2)
        #expect(endpoint.selection.includes(Sample.event(1, "token.refreshed", account: "prod-1")))
        #expect(!endpoint.selection.includes(Sample.event(1, "account.removed", account: "prod-1")))
        #expect(!endpoint.selection.includes(Sample.event(1, "account.paused", account: "test")))
        #expect(endpoint.headers.map(\.name) == ["Authorization"])
        #expect(endpoint.headers[0].value.reveal() == "Bearer planted")
        #expect(endpoint.body.text == "{\"a\": \"{{account}}\"}")
        #expect(endpoint.timeout == .seconds(3) && endpoint.maxAge == .seconds(7200))
        #expect(endpoint.backoff == .init(base: .milliseconds(100), cap: .seconds(2)))
        #expect(!endpoint.settings.contains { $0.value.contains("planted") || $0.value.contains("whsec") })
    }

    @Test func secretsComeFromFilesToo() throws {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "webhooks-\(UInt64.random(in: .min ... .max))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        func file(_ name: String, _ text: String) throws -> String {
            let path = directory.appending(path: name)
            try Data(text.utf8).write(to: path)
            return path.path
        }
        let endpoint = try #require(
            try read(
                """
                webhooks:
                  ops:
                    url_file: \(try file("url", "https://example.com/planted\n"))
                    secret_file: \(try file("secret", "\(Self.secret)\n\(Self.secret)\n"))
                    template_file: \(try file("template", "{\"x\": \"{{type}}\"}\n"))
                """)["ops"])
        #expect(endpoint.url.reveal() == "https://example.com/planted")
        #expect(endpoint.secrets.count == 2)
        #expect(endpoint.body.text == "{\"x\": \"{{type}}\"}\n")
    }

    @Test(arguments: [
        ("{}", "test.yaml:2:3: webhooks.ops: has no url: write url: https://HOST/PATH, or url_file"),
        ("{ url: \"http://example.com/planted\" }", "webhooks.ops.url: would be sent in the clear: write https://"),
        ("{ url: \"example.com/planted\" }", "is not an absolute URL"),
        ("{ url: \"ftp://example.com/planted\" }", "has to begin with https://"),
        ("{ url: \"https://planted:planted@example.com\" }", "holds credentials"),
        ("{ url: \"https:///planted\" }", "has no valid host"),
        ("{ url: \"https://example.com:0/planted\" }", "has no valid host"),
        ("{ url: \"https://example.com/\", secret: planted }", "webhooks.ops.secret: does not begin with whsec_"),
        ("{ url: \"https://example.com/\", secrets: [] }", "holds no secret"),
        ("{ url: \"https://example.com/\", events: [\"account.pasued\"] }", "did you mean account.paused?"),
        ("{ url: \"https://example.com/\", events: \"zzz.*\" }", "\"zzz.*\" is no event"),
        ("{ url: \"https://example.com/\", format: teams }", "is not one of json, slack"),
        ("{ url: \"https://example.com/\", format: slack, template: \"{}\" }", "give either format or a template"),
        (
            "{ url: \"https://example.com/\", template: '{\"a\": \"{{acount}}\"}' }",
            "webhooks.ops.template: names \"acount\""
        ),
        ("{ url: \"https://example.com/\", template_file: /nowhere/planted }", "cannot read /nowhere/planted"),
        ("{ url: \"https://example.com/\", format: telegram }", "has no chat_id"),
        ("{ url: \"https://example.com/\", format: slack, bot_secret: planted }", "is for format: feishu"),
        (
            "{ url: \"https://example.com/\", headers: { webhook-id: x } }",
            "webhooks.ops.headers.webhook-id: is made by Perennial"
        ),
        ("{ url: \"https://example.com/\", headers: { \"a b\": x } }", "is no name of a header"),
        ("{ url: \"https://example.com/\", timeuot: 3s }", "unknown key; did you mean timeout?"),
        ("{ url: \"https://example.com/\", backoff: { base: 10s, cap: 1s } }", "has to be at least base"),
    ]) func mistakesAreNamedWithWhatToWrite(endpoint: String, message: String) {
        let text = errors("webhooks:\n  ops: \(endpoint)\n")
        #expect(text.contains(message), "\(text)")
        #expect(!text.contains("planted") || endpoint.contains("/nowhere/planted"))
    }

    @Test func namesOfEndpointsAreChecked() {
        #expect(
            errors("webhooks:\n  \"a b\": { url: \"https://example.com/\" }\n").contains(
                "a name has 1 to 64 characters"))
    }

    @Test func theFingerprintFollowsTheConfiguration() {
        let one = Sample.endpoint()
        var other = one
        #expect(one.fingerprint == other.fingerprint && one.fingerprint.count == 16)
        other.url = Secret("https://hooks.example.com/other")
        #expect(one.fingerprint != other.fingerprint)
        other = one
        other.timeout = .seconds(1)
        #expect(one.fingerprint == other.fingerprint, "that changes nothing for the receiver")
    }
}
