import HTTPTypes
import HummingbirdCore
import NIOConcurrencyHelpers
import NIOCore

/// `/authorize`, `/code`, `/device/code` and `/device`: where somebody says yes or no.
///
/// `GET /authorize` shows a page to decide on; with `prompt=none` (OpenID Connect Core §3.1.2.1) it decides at once: for
/// the account of `login_hint`, or no, where that is `deny`.
struct AuthorizationEndpoint: Sendable {
    let state: NIOLockedValueBox<MockProviderState>

    /// Nil for other paths.
    func answer(_ request: Request, body: ByteBuffer) -> MockReply? {
        switch (request.method, request.uri.path) {
        case (.get, "/authorize"): authorize(request)
        case (.post, "/authorize/decision"): decide(Form(body))
        case (.get, "/code"): showCode(request)
        case (.post, "/device/code"): startDevice(request, Form(body))
        case (.get, "/device"): devicePage(request.uri.queryParameters["user_code"] ?? "")
        case (.post, "/device"): decideDevice(Form(body))
        case (_, "/authorize"), (_, "/code"): .error(.methodNotAllowed, "method_not_allowed", "Allowed here: GET")
        case (_, "/authorize/decision"), (_, "/device/code"):
            .error(.methodNotAllowed, "method_not_allowed", "Allowed here: POST")
        default: nil
        }
    }

    // MARK: Authorization code

    private func authorize(_ request: Request) -> MockReply {
        let query = request.uri.queryParameters
        func text(_ name: String) -> String? { query[Substring(name)].flatMap { $0.isEmpty ? nil : String($0) } }
        // Before these two are known to be good nobody is sent anywhere (RFC 6749 §3.1.2.4).
        guard let client = text("client_id"), state.withLockedValue({ $0.knows(client: client) }) else {
            return Page.error("The client is unknown.")
        }
        guard let redirectURI = text("redirect_uri"), Self.isRegistered(redirectURI) else {
            return Page.error("The redirect address is not registered.")
        }
        func refuse(_ error: String, _ description: String) -> MockReply {
            Self.redirect(
                redirectURI, [("error", error), ("error_description", description)], state: text("state"),
                issuer: Self.issuer(request))
        }
        guard text("response_type") == "code" else { return refuse("unsupported_response_type", "Only code") }
        guard let challenge = text("code_challenge"), challenge.utf8.count == 43,
            text("code_challenge_method") == "S256"
        else { return refuse("invalid_request", "PKCE with S256 is needed") }
        guard text("scope")?.contains("forbidden") != true else { return refuse("invalid_scope", "Not for you") }
        let asked = MockAuthorization.Request(
            clientID: client, redirectURI: redirectURI, state: text("state"), challenge: challenge,
            scope: text("scope"), nonce: text("nonce"), accessType: text("access_type"), issuer: Self.issuer(request))
        let hint = text("login_hint") ?? "user-1"
        if text("prompt") == "none" { return decided(asked, allowed: hint != "deny", account: hint) }
        let name = state.withLockedValue { state in
            let name = state.authorization.newName("mar_")
            state.authorization.pending[name] = asked
            return name
        }
        return Page.consent(request: name, client: client, scope: asked.scope ?? "nothing in particular", account: hint)
    }

    private func decide(_ form: Form) -> MockReply {
        guard let name = form["request"],
            let asked = state.withLockedValue({ $0.authorization.pending.removeValue(forKey: name) })
        else { return Page.error("This request is unknown or has been decided on.") }
        return decided(asked, allowed: form["decision"] == "allow", account: form["account"] ?? "user-1")
    }

    private func decided(_ asked: MockAuthorization.Request, allowed: Bool, account: String) -> MockReply {
        guard allowed else {
            return Self.redirect(
                asked.redirectURI, [("error", "access_denied"), ("error_description", "The user <said> no")],
                state: asked.state, issuer: asked.issuer)
        }
        let code = state.withLockedValue { $0.issueCode(for: asked, account: account, at: MockEndpoints.now()) }
        return Self.redirect(asked.redirectURI, [("code", code)], state: asked.state, issuer: asked.issuer)
    }

    /// Where a provider shows the code instead of sending it to a program.
    private func showCode(_ request: Request) -> MockReply {
        let query = request.uri.queryParameters
        guard let code = query["code"] else { return Page.error("There is no code here.") }
        return Page.code("\(code)#\(query["state"] ?? "")")
    }

    private static func isRegistered(_ address: String) -> Bool {
        // RFC 8252 §7.3: loopback addresses with any port.
        ["http://127.0.0.1", "http://localhost", "http://[::1]"].contains { host in
            address.hasPrefix(host + ":") || address.hasPrefix(host + "/")
        }
    }

    private static func issuer(_ request: Request) -> String { "http://\(request.head.authority ?? "mock")" }

    private static func redirect(
        _ address: String, _ fields: [(String, String)], state: String?, issuer: String
    ) -> MockReply {
        // RFC 9207 §2: iss comes with every answer.
        let all = fields + (state.map { [("state", $0)] } ?? []) + [("iss", issuer)]
        let query = all.map { "\($0)=\(Form.encoded($1))" }.joined(separator: "&")
        var reply = Page.html(.found, "<p>Going back</p>")
        reply.headers[.location] = address + (address.contains("?") ? "&" : "?") + query
        return reply
    }

    // MARK: Device

    private func startDevice(_ request: Request, _ form: Form) -> MockReply {
        guard let client = form["client_id"], state.withLockedValue({ $0.knows(client: client) }) else {
            return .error(.unauthorized, "invalid_client", "The client is unknown")
        }
        guard form["scope"]?.contains("forbidden") != true else {
            return .error(.badRequest, "invalid_scope", "Not for you")
        }
        let now = MockEndpoints.now()
        let issuer = Self.issuer(request)
        let (code, device) = state.withLockedValue {
            $0.startDevice(client: client, scope: form["scope"], issuer: issuer, at: now)
        }
        let place = issuer + "/device"
        var body = ByteBuffer(string: "{\"device_code\":")
        body.writeJSON(code)
        body.writeStaticString(",\"user_code\":")
        body.writeJSON(device.userCode)
        body.writeStaticString(",\"verification_uri\":")
        body.writeJSON(place)
        body.writeStaticString(",\"verification_uri_complete\":")
        body.writeJSON("\(place)?user_code=\(device.userCode)")
        body.writeString(
            ",\"expires_in\":\(device.expiresAt.wholeSeconds(since: now)),\"interval\":\(device.interval)}")
        return .json(.ok, body)
    }

    private func devicePage(_ userCode: Substring) -> MockReply { Page.device(userCode: String(userCode)) }

    private func decideDevice(_ form: Form) -> MockReply {
        guard let code = form["user_code"] else { return Page.error("The code is missing.") }
        let decision: MockAuthorization.Device.Decision =
            form["decision"] == "allow" ? .allowed(account: form["account"] ?? "user-1") : .denied
        let isKnown = state.withLockedValue { $0.decide(userCode: code, decision, at: MockEndpoints.now()) }
        return isKnown ? Page.html(.ok, "<p>You can go back to your device.</p>") : Page.error("This code is unknown.")
    }
}

/// A form's values.
struct Form {
    private var values: [String: String] = [:]

    init(_ body: ByteBuffer) {
        for pair in body.readableBytesView.split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard equals < pair.endIndex, let name = FormText.decode(pair[..<equals]),
                let value = FormText.decode(pair[pair.index(after: equals)...])
            else { continue }
            values[name] = value
        }
    }

    subscript(_ name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }

    static func encoded(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF")
        return text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                String(Character(Unicode.Scalar(byte)))
            default: "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
            }
        }.joined()
    }
}
