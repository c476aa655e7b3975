/// A value with tokens or secrets inside that says what it is, and never what they are: not when printed,
/// interpolated, dumped or reflected, nor as a part of another value.
protocol Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {}

extension Redacted {
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension MockAccount: Redacted {
    public var description: String { "account \(id)" }
}

extension MockTokenAnswer.Issued: Redacted {
    public var description: String {
        "tokens for \(expiresIn) s \(refreshToken == nil ? "without" : "with") a refresh token"
    }
}

extension MockTokenRequest.Grant: Redacted {
    public var description: String {
        switch self {
        case .refreshToken: "refresh_token"
        case .clientCredentials: "client_credentials"
        case .authorizationCode: "authorization_code"
        case .deviceCode: "device_code"
        }
    }
}

extension MockTokenRequest.Client: Redacted {
    public var description: String { "client \(id), secret \(secret == nil ? "not set" : "set")" }
}

extension MockProviderConfiguration: Redacted {
    public var description: String {
        let address = unixSocket.map { "unix:\($0)" } ?? "\(host):\(port)"
        return
            "mock provider on \(address), rotation \(rotation), client secret \(clientSecret == nil ? "not set" : "set")"
    }
}
