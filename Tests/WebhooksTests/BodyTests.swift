import RefreshCore
import Testing

@testable import Webhooks

struct BodyTests {
    private static let nasty = "quote \" backslash \\ line\nend <!channel> & \u{1} {{text}} \u{2028}"

    private func event(_ type: String = "account.reauthorization_required") -> FleetEvent {
        Sample.event(1, type, [.init("generation", "7"), .init("message", Self.nasty), .init("instance", "one")])
    }

    @Test func theStandardBodyIsTheEvent() throws {
        let event = Sample.event(
            5, "token.refreshed",
            [.init("generation", "7"), .init("recovery", "1"), .init("expires_at", "1800000060000")])
        let json = try JSON.parse(BodyTemplate.standard.render(event))
        #expect(json["id"] == .text("evt_0_1800000000005_0"))
        #expect(json["type"] == .text("token.refreshed"))
        #expect(json["timestamp"] == .text("2027-01-15T08:00:00.005Z"))
        #expect(json["data"]?["account"] == .text("alice"))
        #expect(json["data"]?["generation"] == .number(7))
        #expect(json["data"]?["recovery"] == .flag(true))
        #expect(json["data"]?["expires_at"] == .text("2027-01-15T08:01:00.000Z"))
        // A receiver that dedups by body as well sees the same one every time.
        #expect(BodyTemplate.standard.render(event) == BodyTemplate.standard.render(event))
    }

    @Test(arguments: BodyFormat.allCases) func everyFormatMakesJSONOfWhateverAProviderSaid(format: BodyFormat) throws {
        for event in [event(), Sample.event(2, "leader.changed", account: nil), event("made.up")] {
            let bytes = BodyTemplate(format).render(event, sign: ("1700000000", "signature+/="), chatID: "-100")
            let json = try JSON.parse(bytes)
            switch format {
            case .json: #expect(json["id"]?.text == event.id)
            case .slack: #expect(json["text"]?.text?.hasPrefix("Perennial: ") == true)
            case .discord:
                #expect(json["content"]?.text?.hasPrefix("Perennial: ") == true)
                #expect(json["allowed_mentions"]?["parse"] == .array([]))
            case .feishu:
                #expect(json["msg_type"] == .text("text"))
                #expect(json["content"]?["text"]?.text?.hasPrefix("Perennial: ") == true)
                #expect(json["timestamp"] == .text("1700000000"))
                #expect(json["sign"] == .text("signature+/="))
            case .dingtalk, .wecom:
                #expect(json["msgtype"] == .text("text"))
                #expect(json["text"]?["content"]?.text?.hasPrefix("Perennial: ") == true)
            case .telegram:
                #expect(json["chat_id"] == .text("-100"))
                #expect(json["text"]?.text?.hasPrefix("Perennial: ") == true)
            }
        }
    }

    @Test func whatAProviderSaidArrivesAsItIsAndRingsNoBell() throws {
        let plain = try JSON.parse(BodyTemplate(.discord).render(event()))
        #expect(plain["content"]?.text?.hasSuffix(Self.nasty) == true)
        let slack = try #require(try JSON.parse(BodyTemplate(.slack).render(event()))["text"]?.text)
        #expect(slack.contains("&lt;!channel&gt; &amp;"))
        #expect(!slack.contains("<!channel>"))
    }

    @Test func feishuWithoutASecretIsNotSigned() throws {
        let json = try JSON.parse(BodyTemplate(.feishu).render(event()))
        #expect(json["sign"] == nil && json["timestamp"] == nil)
        #expect(json["msg_type"] == .text("text"))
    }

    @Test func aTemplateOfOnesOwn() throws {
        let template = try BodyTemplate(
            text: """
                {"who": "{{account}}", "n": {{#generation}}{{generation}}{{/generation}}{{^generation}}0{{/generation}},
                 "why": "{{data.message}}", "sev": "{{severity}}", "at": {{unix}}}
                """)
        let json = try JSON.parse(template.render(event()))
        #expect(json["who"] == .text("alice"))
        #expect(json["n"] == .number(7))
        #expect(json["why"] == .text(Self.nasty))
        #expect(json["sev"] == .text("critical"))
        let bare = try JSON.parse(template.render(Sample.event(2, "leader.changed", account: nil)))
        #expect(bare["n"] == .number(0))
        #expect(bare["who"] == .text(""))
    }

    @Test func aFormAndAPlainTextAreEscapedInTheirWays() throws {
        let form = try BodyTemplate(text: "t={{type}}&m={{message}}", contentType: "application/x-www-form-urlencoded")
        let event = Sample.event(1, "a.b", [.init("message", "x&y=z \u{e9}")])
        #expect(String(decoding: form.render(event), as: UTF8.self) == "t=a.b&m=x%26y%3Dz%20%C3%A9")
        let plain = try BodyTemplate(text: "{{message}}", contentType: "text/plain")
        #expect(String(decoding: plain.render(event), as: UTF8.self) == "x&y=z \u{e9}")
    }

    @Test(arguments: [
        ("{\"a\": \"{{acount}}\"}", "names \"acount\""),
        ("{\"a\": \"{{^account}}{{tpye}}{{/account}}\"}", "names \"tpye\""),
        ("{\"a\": {{text}}}", "does not make valid JSON"),
        ("{\"a\": \"{{{message}}}\"}", "puts a value in as it is"),
        ("{\"a\": \"{{{data.message}}}\"}", "write {{NAME}} instead"),
        ("{\"a\": \"{{& data.message}}\"}", "puts a value in as it is"),
        ("{\"a\": {{generation}}}", "of an event without an account"),
        ("{\n\"a\": \"{{#account}}x{{/acount}}\"}", "line 2: a section is closed by another name"),
        ("{\"a\": \"{{account\"}", "is no Mustache template"),
        ("{\"a\": \"{{#account}}\"}", "is no Mustache template"),
        ("just text", "does not make valid JSON"),
    ]) func badTemplatesAreRefused(text: String, reason: String) {
        let error = #expect(throws: BodyTemplate.Malformed.self) { try BodyTemplate(text: text) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "no error")")
    }

    @Test func everyKnownEventHasASentenceOfItsOwn() {
        for type in EventType.all {
            let text = EventSentence.text(Sample.event(1, type))
            #expect(!text.contains(type), "\(type)")
        }
        #expect(EventSentence.text(Sample.event(1, "new.thing")) == "new.thing (alice, acme)")
    }

    @Test func keysInATemplateAreNotShown() throws {
        let key = "aB3xY7zq9KwV2mPsLt"
        let template = try BodyTemplate(text: #"{ "routing_key": "\#(key)", "event_action": "{{text}}" }"#)
        #expect(
            template.masked(#"{ "routing_key": "\#(key)", "event_action": "Zx9CvBn7Ml6Kj5" }"#)
                == #"{ "routing_key": "***", "event_action": "Zx9CvBn7Ml6Kj5" }"#)
        #expect(BodyTemplate.standard.masked(key) == key)
    }
}
