import JSONText
public import RefreshCore

/// Whether the answer to a log-in holds tokens, judged by what it looks like: for answers that the provider's rules make
/// nothing of, perhaps because it is the rules that are wrong.
enum TokenTrace {
    /// False for what has nothing in it, for a page, and for JSON of which no text could be a token. What is told under
    /// `error` and the like is none.
    static func isIn(_ body: [UInt8]) -> Bool {
        guard let document = TokenAnswer.document(of: body) else {
            // Cut off or in another format: nobody can say.
            guard let first = body.first(where: { $0 > 0x20 }) else { return false }
            return first != UInt8(ascii: "<")
        }
        return search(document) { name, text in
            text.utf8.count >= 16 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } && !text.contains("://")
        }
    }

    /// Whether a member whose name speaks of refreshing holds a text: a refresh token in another place than expected.
    static func ofRefreshToken(in body: [UInt8]) -> Bool {
        guard let document = TokenAnswer.document(of: body) else { return false }
        return search(document) { name, text in
            // Not refresh_expires_in.
            name.contains("refresh") && Double(text) == nil && !text.isEmpty
        }
    }

    /// - Parameter isFound: is given the name of the nearest member in small letters, and its text.
    private static func search(
        _ value: JSONValue, under name: String = "", _ isFound: (_ name: String, _ text: String) -> Bool
    ) -> Bool {
        guard !name.hasPrefix("error") else { return false }
        switch value {
        case .string(let text): return isFound(name, text)
        case .object(let members):
            return members.contains { search($0.value, under: $0.name.lowercased(), isFound) }
        case .array(let elements): return elements.contains { search($0, under: name, isFound) }
        case .integer, .number, .bool, .null: return false
        }
    }
}

extension RawTokenResponse {
    /// Whether the answer to a log-in holds tokens that would be lost with it, though `error` came of reading it: once the
    /// configuration is right it may be read again.
    public func isWorthKeeping(after error: LoginError) -> Bool {
        guard mayHoldTokens else { return false }
        switch error.code {
        case .idToken: return true
        // What was read as the access token is nothing to keep fresh.
        case .noRefreshToken: return TokenTrace.ofRefreshToken(in: body)
        default: return TokenTrace.isIn(body)
        }
    }
}
