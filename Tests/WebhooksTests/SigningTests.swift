import Testing

@testable import Webhooks

struct SigningTests {
    /// The example of the libraries of Standard Webhooks.
    @Test func signsAsTheSpecificationDoes() throws {
        let secret = try SigningSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        let signature = secret.signature(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: Array("{\"test\": 2432232314}".utf8))
        #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test(arguments: [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"), ("whsec_not base64!", "is not base64"),
        ("whsec_c2hvcnQ=", "has 5 bytes"), ("whsec_", "has 0 bytes"),
        ("whsec_" + String(repeating: "QUFB", count: 22), "has 66 bytes"),
    ]) func malformedSecretsAreNamedAndNotRepeated(text: String, reason: String) {
        let error = #expect(throws: SigningSecret.Malformed.self) { try SigningSecret(text) }
        #expect(error?.description.contains(reason) == true)
        #expect(error?.description.contains("openssl rand -base64 32") == true)
        if text.count > 10 { #expect(error?.description.contains(text) == false) }
    }

    @Test func aSecretIsNeverPrinted() throws {
        let secret = try SigningSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!"\(secret) \(String(reflecting: secret)) \(dumped)".contains("MfKQ"))
    }

    /// Against Python's hmac and base64.
    @Test func botsAreSignedFor() {
        #expect(
            BotSignature.feishu(secret: "demo-secret", seconds: 1_700_000_000)
                == "mYHw2R2SOm8Rw/sne3lQdmz4sOfntKR+1P/8RKKTwmA=")
        #expect(
            BotSignature.dingtalk(secret: "demo-secret", milliseconds: 1_700_000_000_123)
                == "E20CRgpZBGr69AmB0wdtYezfgyDZ8l6HA275UZlc/Zw=")
    }
}
