import ConfigurationFile
import Providers
import RefreshCore

/// Reads `fallback: { accounts: { ID: TOKEN }, pools: { NAME: TOKEN } }`, where a token is
/// `{ token | token_file, token_type }`.
enum FallbackReading {
    static func accounts(_ section: ConfigurationSection) -> [AccountID: FallbackToken] {
        section.section("accounts") { accounts in
            var tokens: [AccountID: FallbackToken] = [:]
            for name in accounts.keys {
                guard let fallback = accounts.section(name, { token($0) }) ?? nil else { continue }
                do throws(InvalidName) {
                    let id = try AccountID(name)
                    tokens[id] = fallback
                } catch {
                    accounts.report(.invalidValue, name, error.description)
                }
            }
            return tokens
        } ?? [:]
    }

    static func pools(_ section: ConfigurationSection, known: PoolCatalog) -> [PoolName: FallbackToken] {
        section.section("pools") { pools in
            var tokens: [PoolName: FallbackToken] = [:]
            for key in pools.keys {
                guard var fallback = pools.section(key, { token($0) }) ?? nil else { continue }
                do throws(InvalidName) {
                    let name = try PoolName(key)
                    if known.settings[name] == nil {
                        pools.report(.invalidValue, key, "is not under pools; \(advice(key, known))")
                    }
                    fallback.pool = name
                    tokens[name] = fallback
                } catch {
                    pools.report(.invalidValue, key, error.description)
                }
            }
            return tokens
        } ?? [:]
    }

    private static func advice(_ name: String, _ known: PoolCatalog) -> String {
        EditDistance.nearest(to: name, among: known.pools.map(\.name.rawValue)).map { "did you mean \($0)?" }
            ?? "write pools: { \(name): {} }"
    }

    private static func token(_ section: ConfigurationSection) -> FallbackToken? {
        // What is no mapping at all has been reported.
        guard section.isMapping else { return nil }
        let value = section.string("token", secret: true)
        let file = section.string("token_file")
        let type = section.string("token_type") ?? "Bearer"
        guard isTokenType(type) else {
            section.report(
                .invalidValue, "token_type", "has to be 1 to 64 letters, digits and -._~, like Bearer (RFC 6749 §7.1)")
            return nil
        }
        guard section.contains("token") != section.contains("token_file") else {
            let message =
                section.contains("token")
                ? "give either token or token_file, not both" : "needs token or token_file"
            section.report(section.contains("token") ? .contradiction : .missing, message)
            return nil
        }
        var text = value
        if let file {
            do {
                text = try BoundedFile.readSecret(file)
            } catch {
                section.report(.unreadable, "token_file", error.description)
                return nil
            }
        }
        guard let text else { return nil }
        let token = Secret(text)
        let key = section.contains("token") ? "token" : "token_file"
        do {
            try InvalidToken.check(token, field: "the token")
        } catch {
            section.report(.invalidValue, key, error.description)
            return nil
        }
        return FallbackToken(token: token, tokenType: type)
    }

    private static func isTokenType(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"):
                    true
                default: Array("-._~".utf8).contains(byte)
                }
            }
    }
}
