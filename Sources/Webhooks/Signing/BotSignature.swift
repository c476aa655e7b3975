import Crypto

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The signatures that group bots of Feishu and DingTalk want where their security setting is on.
enum BotSignature {
    /// Base64 of HMAC-SHA256 of nothing, under the key `TIMESTAMP\nSECRET`, the time in seconds
    /// (<https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>).
    static func feishu(secret: String, seconds: Int64) -> String {
        hmac(key: "\(seconds)\n\(secret)", message: "")
    }

    /// Base64 of HMAC-SHA256 of `TIMESTAMP\nSECRET` under the secret, the time in milliseconds
    /// (<https://open.dingtalk.com/document/robots/customize-robot-security-settings>).
    static func dingtalk(secret: String, milliseconds: Int64) -> String {
        hmac(key: secret, message: "\(milliseconds)\n\(secret)")
    }

    private static func hmac(key: String, message: String) -> String {
        let code = HMAC<SHA256>.authenticationCode(
            for: Array(message.utf8), using: SymmetricKey(data: Array(key.utf8)))
        return Data(code).base64EncodedString()
    }
}
