public import CurlClient
public import RefreshCore

/// The way by which requests that concern an account leave: its own proxy, else that of its provider's configuration,
/// else directly. A proxy that does not work is never gone round.
public struct RequestRoute: Sendable {
    /// Nil: directly.
    public let proxy: ProxyServer?
    private let caFile: String?

    /// - Parameter setting: the account's own; nil where it has none, or where there is no account yet.
    public init(_ setting: ProxySetting?, definition: ProviderDefinition) {
        switch setting ?? definition.proxy?.setting {
        case .server(let server): proxy = server
        case .direct, nil: proxy = nil
        }
        caFile = definition.proxy?.caFile
    }

    /// The request, on this way.
    ///
    /// - Throws: `CurlError` for a proxy that libcurl cannot be told of.
    public func lead(_ request: CurlRequest) throws(CurlError) -> CurlRequest {
        guard let proxy else { return request }
        var request = request
        request.proxy = try CurlProxy(
            url: proxy.url, username: proxy.username?.reveal(), password: proxy.password?.reveal(), caFile: caFile)
        return request
    }

    /// What to say of an error: whether it was the proxy, and what to look at. Holds no credentials.
    public func words(for error: CurlError) -> String {
        guard let proxy else { return error.message }
        guard error.code == .proxy else { return "through the proxy \(proxy.url): \(error.message)" }
        let isRefused = ["response 407", "response 401", "rejected", "authenticat", "No authentication"].contains {
            error.message.contains($0)
        }
        let advice =
            !isRefused
            ? ""
            : proxy.username == nil ? "it wants a user name and password; " : "it does not take these credentials; "
        return "the proxy \(proxy.url) could not be used: \(advice)\(error.message)"
    }
}
