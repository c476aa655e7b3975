import JSONText
public import RefreshCore

/// The way in which a code or a token gets from the browser to this program.
public enum LoginFlow: String, Sendable, Hashable, CaseIterable {
    /// Authorization code with PKCE; the browser is sent back to this machine (RFC 8252 §7.3).
    case loopback
    /// Authorization code with PKCE; the provider shows the code, and somebody pastes it.
    case paste
    /// A short code is typed in at the provider, on any device (RFC 8628).
    case device
}

/// Where something is told about who has logged in.
public enum LoginIdentitySource: Sendable, Hashable, CustomStringConvertible {
    /// A place in the answer that holds the tokens.
    case answer(JSONPointer)
    /// A place among the claims of the ID token in it (OpenID Connect Core §2).
    case idToken(JSONPointer)

    public var description: String {
        switch self {
        case .answer(let pointer): pointer.description
        case .idToken(let pointer): "id_token:\(pointer)"
        }
    }
}

/// How somebody logs in at a provider. Everything may be absent: a preset gives what is public, the configuration what
/// belongs to the operator's client.
public struct LoginDefinition: Sendable, Hashable {
    /// The one that is taken where the command names none.
    public var flow: LoginFlow?
    public var authorizationURL: String?
    public var deviceAuthorizationURL: String?
    public var redirectURI: RedirectURI?
    /// Ports that the client is registered with, tried in turn, for a loopback redirect without a port of its own.
    public var redirectPorts: [Int]?
    /// RFC 6749 §3.3, separated by blanks; nil: that of the provider.
    public var scope: String?
    /// Further parameters of the authorization request.
    public var parameters: [Field]?
    /// What `iss` has to be in answers of the authorization endpoint (RFC 9207) and in ID tokens.
    public var issuer: String?
    public var exchange: Exchange?
    public var accountID: LoginIdentitySource?
    public var accountName: LoginIdentitySource?

    /// Where the request for the code's tokens differs from that for a refresh.
    public struct Exchange: Sendable, Hashable {
        public var tokenURL: String?
        public var requestFormat: RequestFormat?
        /// See ``ProviderDefinition/loginClientAuth``.
        public var clientAuth: ClientAuthentication?
        public var parameters: [Field] = []
        public var headers: [Field] = []
        /// Some providers want to see `state` once more.
        public var includesState = false

        public init() {}
    }

    /// A further parameter or header. Its value may be a key, so it never shows.
    public struct Field: Sendable, Hashable {
        public var name: String
        public var value: Secret

        public init(name: String, value: Secret) {
            self.name = name
            self.value = value
        }
    }

    public init() {}

    /// These settings, and those of `preset` where there are none.
    func over(_ preset: LoginDefinition?) -> LoginDefinition {
        guard let preset else { return self }
        var result = self
        result.flow = flow ?? preset.flow
        result.authorizationURL = authorizationURL ?? preset.authorizationURL
        result.deviceAuthorizationURL = deviceAuthorizationURL ?? preset.deviceAuthorizationURL
        result.redirectURI = redirectURI ?? preset.redirectURI
        result.redirectPorts = redirectPorts ?? preset.redirectPorts
        result.scope = scope ?? preset.scope
        result.parameters = parameters ?? preset.parameters
        result.issuer = issuer ?? preset.issuer
        result.exchange = exchange ?? preset.exchange
        result.accountID = accountID ?? preset.accountID
        result.accountName = accountName ?? preset.accountName
        return result
    }

    /// The flow to take where nobody chooses one; nil where none can be.
    public var standardFlow: LoginFlow? {
        if let flow { return flow }
        if authorizationURL != nil { return redirectURI?.isLoopback == false ? .paste : .loopback }
        return deviceAuthorizationURL == nil ? nil : .device
    }

    /// What keeps a flow from being taken, and what to write; nil where nothing does.
    public func obstacle(to flow: LoginFlow, provider: ProviderName) -> String? {
        let place = "providers.\(provider).login"
        switch flow {
        case .device where deviceAuthorizationURL == nil:
            return "set \(place).device_authorization_url (RFC 8628), or log in with another flow"
        case .loopback where authorizationURL == nil, .paste where authorizationURL == nil:
            return "set \(place).authorization_url" + (deviceAuthorizationURL == nil ? "" : ", or log in with --device")
        case .loopback where redirectURI?.isLoopback == false:
            return
                "\(place).redirect_uri is not on this machine: log in with --paste, or set it to http://127.0.0.1/callback"
        case .paste where redirectURI == nil:
            return "set \(place).redirect_uri to the address at which the provider shows the code"
        default: return nil
        }
    }

    /// As it could stand in the configuration; nil where there is nothing.
    ///
    /// - Parameter given: the provider's keys that the configuration gave: values under them may be keys and are `***`.
    func shown(hiding given: Set<String>) -> JSONValue? {
        var members: [JSONValue.Member] = []
        func add(_ key: String, _ value: JSONValue?) {
            if let value { members.append(.init(name: key, value: value)) }
        }
        func add(_ key: String, _ value: String?) { add(key, value.map { .string($0) }) }
        add("flow", flow?.rawValue)
        add("authorization_url", authorizationURL.map { EndpointURL.masked($0) })
        add("device_authorization_url", deviceAuthorizationURL.map { EndpointURL.masked($0) })
        add("redirect_uri", redirectURI?.text)
        add("redirect_ports", redirectPorts.map { .array($0.map { .integer(Int64($0)) }) })
        add("scope", scope)
        add("params", Self.shown(parameters ?? [], isHidden: given.contains("login.params")))
        add("issuer", issuer)
        add("exchange", exchange?.shown(isHidden: given.contains("login.exchange")))
        add("account_id", accountID?.description)
        add("account_name", accountName?.description)
        return members.isEmpty ? nil : .object(members)
    }

    fileprivate static func shown(_ fields: [Field], isHidden: Bool) -> JSONValue? {
        guard !fields.isEmpty else { return nil }
        return .object(fields.map { .init(name: $0.name, value: .string(isHidden ? "***" : $0.value.reveal())) })
    }

    /// The keys of the configuration with their effective values, in one line each.
    var settings: [(key: String, value: String)] {
        func lines(_ key: String, _ value: JSONValue) -> [(key: String, value: String)] {
            switch value {
            case .object(let members): members.flatMap { lines("\(key).\($0.name)", $0.value) }
            case .array(let elements): [(key, elements.compactMap(\.scalarText).joined(separator: ", "))]
            default: [(key, value.scalarText ?? "")]
            }
        }
        let flow = standardFlow.map { [(key: "login.flow", value: $0.rawValue)] } ?? []
        let all = shown(hiding: ["login.params", "login.exchange"]).map { lines("login", $0) } ?? []
        return flow + all.filter { $0.key != "login.flow" }
    }
}

extension LoginDefinition.Exchange {
    fileprivate func shown(isHidden: Bool) -> JSONValue {
        var members: [JSONValue.Member] = []
        func add(_ key: String, _ value: JSONValue?) {
            if let value { members.append(.init(name: key, value: value)) }
        }
        add("token_url", tokenURL.map { .string(EndpointURL.masked($0)) })
        add("request_format", requestFormat.map { .string($0.rawValue) })
        add("client_auth", clientAuth.map { .string($0.rawValue) })
        add("params", LoginDefinition.shown(parameters, isHidden: isHidden))
        add("headers", LoginDefinition.shown(headers, isHidden: isHidden))
        if includesState { add("include_state", .bool(true)) }
        return .object(members)
    }
}
