import NIOCore

/// Just enough JSON to write answers without an encoder: the token endpoint is the hot path of every benchmark.
extension ByteBuffer {
    /// Writes a JSON string with its quotes, escaped as RFC 8259 §7 demands.
    mutating func writeJSON(_ text: String) {
        let needsEscape = text.utf8.contains { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }
        writeInteger(UInt8(ascii: "\""))
        if needsEscape {
            for byte in text.utf8 {
                switch byte {
                case UInt8(ascii: "\""): writeStaticString("\\\"")
                case UInt8(ascii: "\\"): writeStaticString("\\\\")
                case 0..<0x20:
                    let digits = String(byte, radix: 16)
                    writeString("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
                default: writeInteger(byte)
                }
            }
        } else {
            writeString(text)
        }
        writeInteger(UInt8(ascii: "\""))
    }

    /// Writes a JSON number.
    mutating func writeJSON(_ number: some FixedWidthInteger) {
        writeString(String(number))
    }

    /// Writes a token response (RFC 6749 §5.1).
    mutating func writeJSON(_ issued: MockTokenAnswer.Issued, expiresInAsString: Bool) {
        writeStaticString("{\"access_token\":")
        writeJSON(issued.accessToken)
        if let refreshToken = issued.refreshToken {
            writeStaticString(",\"refresh_token\":")
            writeJSON(refreshToken)
        }
        writeStaticString(",\"token_type\":\"Bearer\",\"expires_in\":")
        if expiresInAsString {
            writeJSON(String(issued.expiresIn))
        } else {
            writeJSON(issued.expiresIn)
        }
        if let account = issued.account {
            writeStaticString(",\"account\":{\"id\":")
            writeJSON(account)
            writeStaticString(",\"email\":")
            writeJSON(account + "@example.com")
            writeStaticString("}")
        }
        if let idToken = issued.idToken {
            writeStaticString(",\"id_token\":")
            writeJSON(idToken)
        }
        writeStaticString("}")
    }

    /// Writes a token endpoint's error (RFC 6749 §5.2).
    mutating func writeJSON(error: String, description: String) {
        writeStaticString("{\"error\":")
        writeJSON(error)
        writeStaticString(",\"error_description\":")
        writeJSON(description)
        writeStaticString("}")
    }

    /// Writes an account as a line that `perennial accounts import` reads. `expires_at` is in seconds since 1970,
    /// rounded down, so that an importer never thinks a token lives longer than it does.
    mutating func writeJSONLine(_ account: MockAccount, provider: String) {
        writeStaticString("{\"id\":")
        writeJSON(account.id)
        writeStaticString(",\"provider\":")
        writeJSON(provider)
        writeStaticString(",\"refresh_token\":")
        writeJSON(account.refreshToken)
        writeStaticString(",\"access_token\":")
        writeJSON(account.accessToken)
        writeStaticString(",\"expires_at\":")
        writeJSON(account.expiresAt.flooredSeconds)
        writeStaticString("}\n")
    }

    /// Writes one entry of the ledger.
    mutating func writeJSON(_ use: MockTokenUse) {
        writeStaticString("{\"sequence\":")
        writeJSON(use.sequence)
        writeStaticString(",\"token\":")
        writeJSON(use.fingerprint.description)
        if let account = use.account {
            writeStaticString(",\"account\":")
            writeJSON(account)
        }
        if let family = use.family {
            writeStaticString(",\"family\":")
            writeJSON(family)
        }
        writeStaticString(",\"at\":")
        writeJSON(use.at.milliseconds)
        writeStaticString(",\"outcome\":")
        writeJSON(use.outcome.description)
        writeString(",\"duplicate\":\(use.isDuplicateSpend)}")
    }
}

extension MockInstant {
    /// Whole seconds since 1970, rounded down, before 1970 too.
    var flooredSeconds: Int64 {
        let (quotient, remainder) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
