import NIOConcurrencyHelpers
import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A provider, a receiver of webhooks and a proxy in one, which quotes back what it was sent wherever it can: whole, in
/// part, encoded, in bodies, headers and status lines.
final class LeakyProvider: Sendable {
    /// How an account's first request is answered. Later ones are served.
    enum Manner: String, CaseIterable, Sendable {
        case serves, refuses, refusesBelow, failsInside, failsInHTML, throttles, misconfigures, cutsOff, breaksLines,
            isNoJSON, redirects, codesWithTokens, quotesParts, quotesInTheStatusLine, isNoHTTP
    }

    private struct State {
        /// What an account has still to get, by what stands for it: refresh token, user, subject or code.
        var manners: [String: Manner] = [:]
        var issued: [PlantedSecret] = []
        var asked: Set<String> = []
        var devices: [Manner] = []
        var polls: [String: Int] = [:]
        var paths: Set<String> = []
    }

    private let state = NIOLockedValueBox(State())
    private let server = NIOLockedValueBox<AnsweringServer?>(nil)
    let port: Int

    private init(port: Int) { self.port = port }

    static func start() async throws -> LeakyProvider {
        let place = NIOLockedValueBox<LeakyProvider?>(nil)
        let server = try await AnsweringServer.start { text, _ in
            place.withLockedValue { $0 }?.answer(LeakyRequest(text)) ?? AnsweringServer.response(503)
        }
        let provider = LeakyProvider(port: server.port)
        provider.server.withLockedValue { $0 = server }
        place.withLockedValue { $0 = provider }
        return provider
    }

    func stop() async { await server.withLockedValue { $0 }?.stop() }

    /// Every token and code that it has given out, and everything secret that was made for a request to it.
    var issued: [PlantedSecret] { state.withLockedValue { $0.issued } }
    /// Those who have asked for tokens, as ``expect(_:of:)`` has them.
    var asked: Set<String> { state.withLockedValue { $0.asked } }
    /// Where it was asked.
    var paths: Set<String> { state.withLockedValue { $0.paths } }

    /// What the first request of that refresh token, user, subject or code will get.
    func expect(_ manner: Manner, of holder: String) { state.withLockedValue { $0.manners[holder] = manner } }

    /// What the next device log-ins will get.
    func expectDevices(_ manners: [Manner]) { state.withLockedValue { $0.devices = manners } }

    func issue(_ name: String) -> String {
        let secret = PlantedSecret.random("\(name) from the provider", length: 44, odd: "-._~")
        state.withLockedValue { $0.issued.append(secret) }
        return secret.text
    }

    private func note(_ name: String, _ text: String?) {
        guard let text, text.utf8.count >= 24 else { return }
        state.withLockedValue { state in
            let secret = PlantedSecret(name, text)
            if !state.issued.contains(secret) { state.issued.append(secret) }
        }
    }

    // MARK: Answers

    private func answer(_ request: LeakyRequest) -> String {
        let place = request.path.split(separator: "/").first.map(String.init) ?? request.method
        state.withLockedValue { _ = $0.paths.insert(request.method == "CONNECT" ? "CONNECT" : place) }
        if request.method == "CONNECT" {
            return quoting(request, status: "407 \(oneLine(request))", more: ["Proxy-Authenticate: Basic"])
        }
        switch place {
        case "token": return token(request)
        case "device": return device(request)
        case "first": return AnsweringServer.response(200, json: #"{"session":"\#(issue("a session"))"}"#)
        case "hook": return quoting(request, status: "500 Internal Server Error")
        case "dead": return quoting(request, status: "400 \(oneLine(request))")
        default: return AnsweringServer.response(200, json: #"{"ok":true,"errcode":0,"code":0}"#)
        }
    }

    private func token(_ request: LeakyRequest) -> String {
        let fields = request.fields
        note("a code verifier", fields["code_verifier"])
        note("an assertion", fields["assertion"])
        if let device = fields["device_code"] {
            let polls = state.withLockedValue { state in
                state.polls[device, default: 0] += 1
                return state.polls[device] ?? 0
            }
            if polls == 1 {
                return quoting(request, status: "400 Bad Request", error: "authorization_pending")
            }
        }
        let holder =
            fields["refresh_token"] ?? fields["code"] ?? fields["device_code"] ?? fields["username"]
            ?? fields["assertion"].flatMap(Self.subject) ?? ""
        let manner = state.withLockedValue { state in
            state.asked.insert(holder)
            return state.manners.removeValue(forKey: holder) ?? .serves
        }
        return answer(request, manner)
    }

    private static func subject(_ assertion: String) -> String? {
        let parts = assertion.split(separator: ".")
        guard parts.count == 3 else { return nil }
        var text = String(parts[1]).replacing("-", with: "+").replacing("_", with: "/")
        while !text.utf8.count.isMultiple(of: 4) { text += "=" }
        struct Claims: Decodable { var sub: String }
        guard let data = Data(base64Encoded: text) else { return nil }
        return try? JSONDecoder().decode(Claims.self, from: data).sub
    }

    private func answer(_ request: LeakyRequest, _ manner: Manner) -> String {
        let (access, refresh) = (issue("an access token"), issue("a refresh token"))
        let good =
            #"{"access_token":"\#(access)","refresh_token":"\#(refresh)","expires_in":5,"data":{"token":"\#(access)"}}"#
        let first = request.values.first ?? "nothing"
        switch manner {
        case .serves: return AnsweringServer.response(200, json: good)
        case .refuses: return quoting(request, status: "400 Bad Request", error: "invalid_grant")
        case .refusesBelow:
            let words = Self.json(oneLine(request))
            return AnsweringServer.response(
                401, headers: headers(request),
                json:
                    #"{"code":40001,"error":{"code":"invalid_grant","message":\#(words),"type":"x"},"message":\#(words)}"#
            )
        case .failsInside: return quoting(request, status: "500 Oops", error: "server_error")
        case .failsInHTML:
            let page = "<html><title>\(oneLine(request))</title><body>\(request.body)</body></html>"
            return raw("502 Bad Gateway", headers(request) + ["Content-Type: text/html"], page)
        case .throttles:
            return quoting(request, status: "429 Too Many Requests", error: "slow_down", more: ["Retry-After: 1"])
        case .misconfigures: return quoting(request, status: "401 Unauthorized", error: "invalid_client")
        case .cutsOff:
            return raw("200 OK", ["Content-Type: application/json"], String(good.dropLast(40)))
        case .breaksLines:
            return AnsweringServer.response(
                200,
                json: good.replacing(access, with: access + "\\r\\nX-Smuggled: 1").replacing(
                    "\"expires_in\"", with: "\"message\":\"\(access.prefix(15))\",\"expires_in\""))
        case .isNoJSON:
            return raw("200 OK", ["Content-Type: text/plain"], "access_token=\(access)&refresh_token=\(refresh)")
        case .redirects:
            return raw("302 Found", ["Location: http://127.0.0.1:\(port)/elsewhere?token=\(Self.word(first))"], "")
        case .codesWithTokens:
            return AnsweringServer.response(
                400, headers: headers(request), json: #"{"error":\#(Self.json(first)),"code":\#(Self.json(first))}"#)
        case .quotesParts:
            let parts = request.values.flatMap(Self.parts)
            let words = Self.json(parts.joined(separator: " "))
            // Twice, for who reads only the beginning.
            let reversed = Self.json(parts.reversed().joined(separator: ", "))
            return AnsweringServer.response(
                400, json: #"{"error":"invalid_grant","error_description":\#(words),"message":\#(reversed)}"#)
        case .quotesInTheStatusLine: return raw("400 \(oneLine(request))", headers(request), "")
        case .isNoHTTP: return "\(oneLine(request))\r\n\(first)\r\n"
        }
    }

    /// An error that quotes everything, everywhere.
    private func quoting(
        _ request: LeakyRequest, status: String, error: String = "server_error", more: [String] = []
    ) -> String {
        let words = Self.json(oneLine(request))
        return raw(
            status, headers(request) + ["Content-Type: application/json"] + more,
            #"{"error":"\#(error)","error_description":\#(words),"message":\#(words),"body":\#(Self.json(request.body))}"#
        )
    }

    private func raw(_ status: String, _ headers: [String], _ body: String) -> String {
        (["HTTP/1.1 \(status)"] + headers + ["Content-Length: \(body.utf8.count)", "Connection: close"])
            .joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    private func headers(_ request: LeakyRequest) -> [String] {
        let words = oneLine(request)
        return [
            "WWW-Authenticate: Bearer error=\"invalid\", error_description=\"\(words)\"", "Server: \(words)",
            "Via: 1.1 \(words)", "X-Request: \(words)", "Set-Cookie: session=\(Self.word(words))",
            "Content-Language: \(Self.word(words))",
        ]
    }

    private func oneLine(_ request: LeakyRequest) -> String {
        request.values.map { value in
            String(value.unicodeScalars.filter { $0.value >= 0x20 && $0.value < 0x7F }.map(Character.init))
        }.joined(separator: " ")
    }

    private static func parts(_ value: String) -> [String] {
        let base64 = Data(value.utf8).base64EncodedString()
        let hexadecimal = value.utf8.map { String($0, radix: 16) }.joined()
        return [
            String(value.prefix(14)), String(value.suffix(15)), base64, String(base64.prefix(19)), hexadecimal,
            String(value.dropFirst(8).prefix(13)) + "...",
        ]
    }

    private static func word(_ text: String) -> String { text.replacing(" ", with: "_") }

    private static func json(_ text: String) -> String {
        (try? JSONEncoder().encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }

    // MARK: Devices

    private func device(_ request: LeakyRequest) -> String {
        let manner = state.withLockedValue { $0.devices.isEmpty ? .serves : $0.devices.removeFirst() }
        guard manner != .misconfigures else {
            return quoting(request, status: "401 Unauthorized", error: "invalid_client")
        }
        let code = issue("a device code")
        expect(manner, of: code)
        return AnsweringServer.response(
            200,
            json: """
                {"device_code":"\(code)","user_code":"ABCD-EFGH","expires_in":60,"interval":1,\
                "verification_uri":"http://127.0.0.1:\(port)/typed"}
                """)
    }
}
