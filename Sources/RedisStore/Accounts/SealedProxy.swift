import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An account's proxy as it stands in its hash: a JSON object, sealed as a whole under a place that does not depend on
/// the generation, since an edit changes it and a refresh does not.
struct SealedProxy: Codable {
    /// `direct`, or scheme, host and port.
    var url: String
    var username: String?
    var password: String?

    private static func place(_ account: AccountID) -> KeyRing.Place { .init(account: account, field: "proxy") }

    /// - Throws: ``StoreError`` with code `sealing`: what cannot be sealed is not written.
    static func seal(_ proxy: ProxySetting, of account: AccountID, ring: KeyRing) throws(StoreError) -> [UInt8] {
        let form = SealedProxy(
            url: proxy.url, username: proxy.server?.username?.reveal(), password: proxy.server?.password?.reveal())
        do {
            return try ring.seal(Array(try JSONEncoder().encode(form)), at: place(account))
        } catch {
            throw StoreError(.sealing, "the proxy of account \(account) could not be sealed")
        }
    }

    /// - Throws: ``StoreError``. An account whose proxy cannot be read is not used at all, so that nothing ever leaves
    ///   directly that should not.
    static func open(_ sealed: [UInt8], of account: AccountID, ring: KeyRing) throws(StoreError) -> ProxySetting {
        let bytes: [UInt8]
        do {
            bytes = try ring.open(sealed, at: place(account))
        } catch {
            throw StoreError(.sealing, "the proxy of account \(account): \(error.description)")
        }
        guard let form = try? JSONDecoder().decode(SealedProxy.self, from: Data(bytes)), let proxy = form.setting else {
            throw StoreError(.corrupt, "the proxy of account \(account) cannot be read by this version")
        }
        return proxy
    }

    private var setting: ProxySetting? {
        if url == "direct" { return .direct }
        let server = try? ProxyServer(
            url, username: username.map { Secret($0) }, password: password.map { Secret($0) })
        return server.map { .server($0) }
    }
}
