import MockProvider

/// Accounts of the mock provider as lines that `perennial accounts import` reads.
enum AccountLines {
    /// JSON lines. `expires_at` is in seconds since 1970, rounded down: nobody shall think that a token lives longer.
    static func text(_ accounts: [MockAccount], provider: String) -> String {
        var text = ""
        for account in accounts {
            let expiresAt = Int((Double(account.expiresAt.milliseconds) / 1000).rounded(.down))
            text += "{\"id\":\(quoted(account.id)),\"provider\":\(quoted(provider))"
            text += ",\"refresh_token\":\(quoted(account.refreshToken))"
            text += ",\"access_token\":\(quoted(account.accessToken)),\"expires_at\":\(expiresAt)}\n"
        }
        return text
    }

    /// A JSON string with its quotes (RFC 8259 §7).
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
