/// The bodies that ship with Perennial: the Standard Webhooks JSON, and what chat services want.
public enum BodyFormat: String, Sendable, Hashable, CaseIterable {
    case json, slack, discord, feishu, dingtalk, wecom, telegram

    /// Nil for ``json``, which is no template.
    var template: String? {
        let bytes: [UInt8]
        switch self {
        case .json: return nil
        case .slack: bytes = PackageResources.slack_mustache
        case .discord: bytes = PackageResources.discord_mustache
        case .feishu: bytes = PackageResources.feishu_mustache
        case .dingtalk: bytes = PackageResources.dingtalk_mustache
        case .wecom: bytes = PackageResources.wecom_mustache
        case .telegram: bytes = PackageResources.telegram_mustache
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
