import ConfigurationFile
import PerennialConfiguration
import RefreshCore
import Testing
import Webhooks

struct WebhookSectionTests {
    @Test func theSectionIsReadAndShownWithoutItsSecrets() throws {
        let configuration = try PerennialConfiguration.parse(
            """
            state_dir: /tmp/state
            webhooks:
              ops:
                url: https://hooks.example.com/services/${TOKEN}
                secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
                events: account.*
            """, environment: ["TOKEN": "planted"])
        #expect(configuration.webhooks.endpoints.map(\.name) == ["ops"])
        #expect(configuration.webhooks["ops"]?.url.reveal() == "https://hooks.example.com/services/planted")
        let shown = configuration.describe()
        #expect(shown.contains("webhooks.ops.url: https://hooks.example.com/***"))
        #expect(shown.contains("webhooks.ops.secrets: 1 set"))
        #expect(shown.contains("webhooks.ops.events: account.*"))
        #expect(!shown.contains("planted") && !shown.contains("whsec_"))
    }

    @Test func mistakesAreReportedWithTheOthers() {
        let error = #expect(throws: ConfigurationError.self) {
            try PerennialConfiguration.parse(
                """
                state_dir: /tmp/state
                lease: { ttl: soon }
                webhooks:
                  ops:
                    url: https://hooks.example.com/
                    template: '{"a": "{{acount}}"}'
                """)
        }
        let text = error?.description ?? ""
        #expect(text.contains("perennial.yaml:2:15: lease.ttl"))
        #expect(text.contains("perennial.yaml:6:") && text.contains("webhooks.ops.template: names \"acount\""))
    }
}
