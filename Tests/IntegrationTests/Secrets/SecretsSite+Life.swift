import CurlClient
import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

// What they go through, and where is looked afterwards.
extension SecretsSite {
    private var origin: String { instances[0].origin }

    /// All is well, then all kinds of things go wrong, and somebody looks at each.
    func live() async throws {
        let holders = try await addAccounts()
        try await eventually("each account has been tried", within: .seconds(120)) {
            holders.isSubset(of: leaky.asked)
        }
        try await eventually("what is refused is given up", within: .seconds(60)) {
            let shown = try await get("/v1/accounts?status=reauth_required&limit=500")
            // What is final at the others is no word of this preset's.
            return Self.rotating.allSatisfy { $0 == "keyed" || shown.contains("\"\($0)-refuses\"") }
        }
        try await askThroughAPI()
        try await callBadly()
        try await editAccounts()
        try await logIn()
        try await loseRedis()
        try await checkConfigurations()
        try await lookAround()
        try await eventually("the webhooks and a pool have been at work", within: .seconds(60)) {
            leaky.paths.isSuperset(of: ["token", "hook", "ok", "dead", "device", "first", "CONNECT"])
        }
        try await lookAround()
    }

    // MARK: Accounts

    /// One account of each provider for each way in which it can be answered.
    ///
    /// - Returns: who has to have asked for tokens.
    private func addAccounts() async throws -> Set<String> {
        var lines: [String] = []
        var holders: Set<String> = []
        for manner in LeakyProvider.Manner.allCases {
            for provider in Self.rotating {
                let token = PlantedSecret.random("the refresh token of \(provider)-\(manner)", length: 40, odd: "/+-")
                leaky.expect(manner, of: token.text)
                holders.insert(token.text)
                await book.plant(token)
                lines.append(
                    #"{"id":"\#(provider)-\#(manner)","provider":"\#(provider)","refresh_token":"\#(token.text)"}"#)
            }
            for provider in Self.fielded {
                let id = "\(provider)-\(manner)"
                let secret = PlantedSecret.random(
                    "the secret of \(id)", length: 40, odd: provider == "intra" ? "&+" : "\n/")
                let value = secret.text.replacing("\n", with: "\\n")
                leaky.expect(manner, of: id)
                holders.insert(id)
                let fields =
                    switch provider {
                    case "intra": #""username":"\#(id)","password":"\#(value)""#
                    case "machine": #""username":"\#(id)","private_key":"\#(value)""#
                    default: #""subject":"\#(id)""#
                    }
                if provider != "signed" { await book.plant(secret) }
                lines.append(#"{"id":"\#(id)","provider":"\#(provider)","credentials":{\#(fields)}}"#)
            }
        }
        for (number, proxy) in [
            "http://planted-user:\(secrets.accountProxy.text)@127.0.0.1:\(proxyPort)",
            "http://planted-user:\(secrets.wrongProxy.text)@127.0.0.1:\(proxyPort)",
            "http://planted-user:\(secrets.wrongProxy.text)@127.0.0.1:\(leaky.port)",
            "socks5h://planted-user:\(secrets.wrongProxy.text)@127.0.0.1:\(leaky.port)",
            "socks5://planted-user:\(secrets.wrongProxy.text)@127.0.0.1:9",
        ].enumerated() {
            let token = PlantedSecret.random("the refresh token behind proxy \(number)", length: 40, odd: "-._")
            await book.plant(token)
            lines.append(
                #"{"id":"proxied-\#(number)","provider":"plain","refresh_token":"\#(token.text)","proxy":"\#(proxy)"}"#)
            if number == 0 { holders.insert(token.text) }
        }
        for provider in ["led", "nowhere"] {
            let token = PlantedSecret.random("the refresh token of \(provider)", length: 40, odd: "-._")
            await book.plant(token)
            lines.append(#"{"id":"\#(provider)","provider":"\#(provider)","refresh_token":"\#(token.text)"}"#)
        }
        let file = workshop.path("given/accounts.jsonl")
        try TextFile.write(lines.joined(separator: "\n") + "\n", to: file)
        guard try await command("accounts", "import", file) == 0 else { throw ServerFailure("the import failed") }
        // Some are wrong, in each place.
        let wrong = workshop.path("given/wrong.jsonl")
        let broken = secrets.broken.text
        try TextFile.write(
            """
            {"id":"w1","provider":"plain","refresh_token":"\(broken)
            {"id":"w2","provider":"plain","refresh_tokn":"\(broken)"}
            {"id":"w3","provider":"nobody","refresh_token":"\(broken)"}
            {"id":"w4","provider":"intra","refresh_token":"\(broken)"}
            {"id":"w5","provider":"intra","credentials":{"username":"u","pass":"\(broken)"}}
            {"id":"w6","provider":"plain","refresh_token":"\(broken)\\n"}
            {"id":"w7","provider":"plain","refresh_token":"x","proxy":"ftp://u:\(broken)@h:1"}
            {"id":"w8","provider":"plain","refresh_token":"x","expires_at":"\(broken)"}
            {"id":"\(broken.prefix(16)) w9","provider":"plain","refresh_token":["\(broken)"]}
            "\(broken)"

            """, to: wrong)
        _ = try await command("accounts", "import", wrong)
        return holders
    }

    private func editAccounts() async throws {
        let proxy = workshop.path("given/proxy.txt")
        try TextFile.write(
            "http://planted-user:\(secrets.accountProxy.text)@127.0.0.1:\(proxyPort)\n", to: proxy)
        _ = try await command("accounts", "edit", "proxied-1", "--proxy-file", proxy)
        try TextFile.write("http://planted user:\(secrets.accountProxy.text)@127.0.0.1:port\n", to: proxy)
        _ = try await command("accounts", "edit", "proxied-2", "--proxy-file", proxy)
        let token = workshop.path("given/token.txt")
        try TextFile.write(secrets.broken.text + " two words\n", to: token)
        _ = try await command("accounts", "add", "plain-refuses", "--provider", "plain", "--refresh-token-file", token)
        // Refused before.
        if let dead = await book.planted.first(where: { $0.name == "the refresh token of plain-refuses" }) {
            try TextFile.write(dead.text + "\n", to: token)
            _ = try await command(
                "accounts", "add", "plain-refuses", "--provider", "plain", "--refresh-token-file", token)
            // Another account's.
            _ = try await command("accounts", "add", "twin", "--provider", "plain", "--refresh-token-file", token)
        }
        _ = try await command(
            "accounts", "add", "intra-new", "--provider", "intra", "--field-file", "username=\(token)", "--field-file",
            "password=\(token)")
    }

    // MARK: The API

    private func askThroughAPI() async throws {
        for provider in Self.rotating + Self.fielded {
            for manner in [LeakyProvider.Manner.serves, .refuses, .failsInside, .quotesParts] {
                let id = "\(provider)-\(manner)"
                for path in ["", "/orphans"] { _ = try await get("/v1/accounts/\(id)\(path)") }
                try await send("POST", "/v1/accounts/\(id)/refresh", "{}")
                try await keepError("/v1/accounts/\(id)/token")
            }
        }
        for path in ["/v1/accounts?limit=500", "/v1/instances", "/v1/providers", "/readyz", "/livez", "/metrics"] {
            for instance in instances { _ = try await get(path, from: instance.origin) }
        }
    }

    private func callBadly() async throws {
        let broken = secrets.broken.text
        for body in [
            #"{"provider":"plain","refresh_token":"\#(broken)""#,
            #"{"provider":"plain","refresh_tokens":"\#(broken)"}"#,
            #"{"provider":"plain","refresh_token":"\#(broken)\n"}"#,
            #"{"provider":"intra","refresh_token":"\#(broken)"}"#,
            #"{"provider":"intra","credentials":{"username":"u","passwort":"\#(broken)"}}"#,
            #"{"provider":"intra","credentials":"\#(broken)"}"#,
            #"{"provider":"plain","refresh_token":["\#(broken)"]}"#,
            #"{"provider":"plain","refresh_token":"x","expires_at":"\#(broken)","access_token":"\#(broken)"}"#,
            #"{"provider":"plain","refresh_token":"x","proxy":"http://u:\#(broken)@h:99999"}"#,
            #"{"provider":"plain","refresh_token":"x","proxy":{"url":"http://h:1","password":"\#(broken)"}}"#,
            #"{"provider":"plain","refresh_token":"x","labels":{"\#(broken) x":"y"}}"#,
        ] {
            try await send("PUT", "/v1/accounts/x", body)
            try await send("PATCH", "/v1/accounts/plain-serves", body)
        }
        for header in ["Bearer \(secrets.wrongCaller.text)", "Basic \(secrets.wrongCaller.text)"] {
            let answer = try await workshop.http.execute(
                CurlRequest(
                    url: "\(origin)/v1/accounts", headers: [("Authorization", header)], totalTimeout: .seconds(60)))
            await add("GET with a wrong key", answer)
        }
    }

    /// A document that may hold no token.
    @discardableResult
    private func get(_ path: String, from origin: String? = nil) async throws -> String {
        let answer = try await workshop.http.execute(
            CurlRequest(
                url: (origin ?? self.origin) + path, headers: [("Authorization", "Bearer \(callerKey)")],
                totalTimeout: .seconds(60)))
        await add("GET \(path)", answer)
        return String(decoding: answer.body, as: UTF8.self)
    }

    /// Tokens are what this document is for; errors are looked at.
    private func keepError(_ path: String) async throws {
        let answer = try await workshop.http.execute(
            CurlRequest(
                url: origin + path, headers: [("Authorization", "Bearer \(callerKey)")], totalTimeout: .seconds(60)))
        if answer.status >= 400 { await add("GET \(path)", answer) }
    }

    private func send(_ method: String, _ path: String, _ body: String) async throws {
        let answer = try await workshop.http.execute(
            CurlRequest(
                method: method, url: origin + path,
                headers: [("Content-Type", "application/json"), ("Authorization", "Bearer \(callerKey)")],
                body: Array(body.utf8), totalTimeout: .seconds(60)))
        // A refresh answers with the new token.
        if answer.status >= 400 || !path.hasSuffix("/refresh") { await add("\(method) \(path)", answer) }
    }

    private func add(_ place: String, _ answer: CurlResponse) async {
        let headers = answer.headers.map { "\($0.name): \($0.value)\n" }.joined()
        await book.add("\(place), answered \(answer.status)", Array(headers.utf8) + answer.body)
    }

    // MARK: Logging in

    private func logIn() async throws {
        for manner in LeakyProvider.Manner.allCases {
            let code = PlantedSecret.random("a pasted code (\(manner))", length: 40, odd: "-_")
            await book.plant(code)
            leaky.expect(manner, of: code.text)
            _ = try await login(["--paste", "--account", "pasted-\(manner)"], pasting: code.text)
        }
        let wrong = secrets.wrongCode.text
        for pasted in [
            "\(wrong)#\(wrong)", "http://127.0.0.1:8799/code?error=access_denied&error_description=\(wrong)",
            "http://127.0.0.1:8799/code?code=\(wrong)&state=\(wrong)", "\(wrong) \(wrong)\u{7F}",
        ] { _ = try await login(["--paste", "--account", "wrong"], pasting: pasted) }
        let manners: [LeakyProvider.Manner] = [
            .serves, .refuses, .misconfigures, .quotesParts, .codesWithTokens, .redirects, .cutsOff,
        ]
        leaky.expectDevices(manners)
        for manner in manners {
            _ = try await login(["--device", "--account", "device-\(manner)"], pasting: "")
        }
    }

    private func login(_ words: [String], pasting text: String) async throws -> ServerProcess {
        let input = workshop.path("given/pasted-\(UInt32.random(in: .min ... .max)).txt")
        try TextFile.write(text + "\n", to: input)
        let process = try await workshop.start(
            "login", "bash",
            [
                "-c", "input=$1; shift; exec \"$@\" < \"$input\"", "bash", input, workshop.perennial, "login", "plain",
                "--no-browser", "--timeout", "10s", "--config", configuration, "--state-dir",
                workshop.path("state-cli"),
            ] + words)
        try await process.waitUntilEnded(timeout: .seconds(60))
        return process
    }

    // MARK: Trouble

    /// Answers go into the journals and the log-in vault, and come back out of them.
    private func loseRedis() async throws {
        let code = PlantedSecret.random("a pasted code while Redis is away", length: 40, odd: "-_")
        await book.plant(code)
        await redis.pause()
        for provider in Self.rotating {
            for instance in instances {
                _ = try? await workshop.http.execute(
                    CurlRequest(
                        method: "POST", url: "\(instance.origin)/v1/accounts/\(provider)-serves/refresh",
                        headers: [("Authorization", "Bearer \(callerKey)")], totalTimeout: .milliseconds(500)))
            }
        }
        _ = try await login(["--paste", "--account", "kept", "--timeout", "3s"], pasting: code.text)
        try await keepFiles("while Redis is away")
        await redis.resume()
        try await eventually("Redis is back", within: .seconds(60)) {
            let answer = try? await workshop.http.execute(CurlRequest(url: origin + "/readyz"))
            return answer?.status == 200
        }
        _ = try await login(["--unfinished"], pasting: "")
    }

    /// Each has a mistake near a secret.
    private func checkConfigurations() async throws {
        let secret = secrets.mistyped.text
        let base =
            "redis: { url: \"redis://127.0.0.1:1\" }\nsealing: { key_file: \"\(workshop.path("given/sealing.key"))\" }\n"
        let provider = "token_url: https://h/t, client_id: c"
        for (number, yaml) in [
            "redis: { url: \"redis://u:\(secret)@h:port/x\" }", "redis: { url: \"rediss//u:\(secret)@h\" }",
            "redis: { password: [\(secret)] }", "redis: { passwort: \(secret) }", "sealing: { key: \(secret) }",
            "sealing: { key_file: \(workshop.path("given/posted.txt")) }",
            "\(base)log: { level: \(secret.prefix(3)) }\n\t\(secret)",
            "providers: { p: { \(provider), client_secrte: \(secret) } }",
            "providers: { p: { \(provider), client_secret: { a: \(secret) } } }",
            "providers: { p: { \(provider), client_secret: \"\(secret) } }",
            "providers: { p: { \(provider), client_secret: \(secret), client_auth: none } }",
            "providers: { p: { token_url: \"https://u:\(secret)@h/t\", client_id: c } }",
            "providers: { p: { token_url: \"http://h/t?key=\(secret)\", client_id: c } }",
            "providers: { p: { token_url: \"ftp://h/\(secret)\", client_id: c } }",
            "providers: { p: { \(provider), headers: { X-Key: \"\(secret) {{ nope }}\" } } }",
            "providers: { p: { \(provider), headers: { X-Key: \"\(secret)\\n\" } } }",
            "providers: { p: { \(provider), vars: { \"a b\": \(secret) } } }",
            "providers: { p: { \(provider), vars: { a: [\(secret)] } } }",
            "providers: { p: { \(provider), vars: { a: \(secret) }, headers: { X: \"{{ vars.b }}\" } } }",
            "providers: { p: { \(provider), request: { json: { a: \"\(secret) {{ b }}\" } } } }",
            "providers: { p: { \(provider), request: { body: \"\(secret) {{ b\" } } }",
            "providers: { p: { \(provider), signing: { key: \(secret), algorithm: RS256 }, client_auth: private_key_jwt } }",
            "providers: { p: { \(provider), proxy: \"ftp://u:\(secret)@h:1\" } }",
            "providers: { p: { \(provider), proxy: { url: \"http://u:\(secret)@h:1\", password: \(secret) } } }",
            "providers: { p: { \(provider), proxy: { url: \"http://h:1\", password: \(secret) } } }",
            "providers: { p: { \(provider), params: { refresh_token: \(secret) } } }",
            "webhooks: { w: { url: \"ftp://h/\(secret)\" } }", "webhooks: { w: { url: \"https://h h/\(secret)\" } }",
            "webhooks: { w: { url: \"https://u:\(secret)@h/\" } }",
            "webhooks: { w: { url: \"http://h.example/\(secret)\" } }",
            "webhooks: { w: { url: \"https://h/\", secret: \(secret) } }",
            "webhooks: { w: { url: \"https://h/\", secret: \"whsec_\(secret)!\" } }",
            "webhooks: { w: { url: \"https://h/\", headers: { \"a b\": \(secret) } } }",
            "webhooks: { w: { url: \"https://h/\", headers: { X: \"\(secret)\\n\" } } }",
            "webhooks: { w: { url: \"https://h/\", template: '{ \"k\": \"\(secret)\", {{ nope } }' } }",
            "webhooks: { w: { url: \"https://h/\", template: '\(secret) {{ text }}' } }",
            "webhooks: { w: { url: \"https://h/\", bot_secret: \(secret), chat_id: \(secret), format: slack } }",
            "fallback: { accounts: { a: { token: \"\(secret) x\" } } }",
            "fallback: { accounts: { a: { tokn: \(secret) } } }",
            "fallback: { accounts: { a: { token: \(secret), token_type: \"a b\" } } }",
            "pools: { p: { acquisition: { provider: q, refresh_token: \"\(secret) {{ x }}\" } } }",
            "providers: { p: { \(provider), client_secret: &\(secret) a, scope: *\(secret.prefix(20)) } }",
        ].enumerated() {
            let file = workshop.path("given/mistake-\(number).yaml")
            try TextFile.write(
                (yaml.hasPrefix("redis:") || yaml.hasPrefix("sealing:") ? "" : base) + yaml + "\n", to: file)
            let process = try await workshop.start(
                "mistake-\(number)", workshop.perennial, ["config", "check", "--config", file])
            try await process.waitUntilEnded(timeout: .seconds(30))
            guard await process.exitCode == 1 else {
                throw ServerFailure("mistake \(number) was answered \(await process.exitCode ?? -1): \(process.log)")
            }
        }
    }

    // MARK: The command line

    /// The commands with which an operator looks at things.
    private func lookAround() async throws {
        for words in [
            ["config", "check"], ["config", "check", "--json"], ["status"], ["status", "--json"], ["accounts", "list"],
            ["accounts", "list", "--json"], ["accounts", "show", "plain-refuses"], ["accounts", "show", "proxied-1"],
            ["accounts", "show", "intra-refuses", "--json"], ["accounts", "show", "machine-quotesParts"],
            ["accounts", "orphans", "plain-serves"], ["journal", "list", "--all"],
            ["events", "--since", "1d", "--json"], ["events", "--since", "1d"], ["webhooks", "list"],
            ["webhooks", "list", "--json"], ["webhooks", "test"], ["webhooks", "test", "--json"],
            ["webhooks", "dead-letters"], ["webhooks", "dead-letters", "--json"], ["webhooks", "replay", "--all"],
            ["refresh", "plain-refuses"], ["refresh", "proxied-2"], ["refresh", "nowhere"], ["refresh", "led"],
        ] { _ = try await command(words) }
        for number in 1...3 {
            let state = workshop.path("state-\(number)")
            _ = try await command(["journal", "list", "--all"], state: state)
            let list = try await output(["journal", "list", "--all", "--json"], state: state)
            struct Entry: Decodable { var attempt: String }
            let line = list.split(separator: "\n").first { $0.hasPrefix("[") } ?? "[]"
            for entry in (try? JSONDecoder().decode([Entry].self, from: Data(line.utf8)).prefix(12)) ?? [] {
                _ = try await command(["journal", "show", entry.attempt], state: state)
            }
        }
        let answer = workshop.path("given/answer.json")
        try TextFile.write(
            #"{"error":"invalid_grant","error_description":"it was \#(secrets.basic.text), \#(secrets.basic.text.prefix(15))"}"#,
            to: answer)
        let field = workshop.path("given/field.txt")
        try TextFile.write(secrets.broken.text + "\n", to: field)
        for provider in Self.rotating + Self.fielded + ["led", "nowhere"] {
            _ = try await command("providers", "show", provider)
            _ = try await command("providers", "show", provider, "--json")
            var fields: [String] = []
            switch provider {
            case "intra": fields = ["username", "password"]
            case "machine": fields = ["username", "private_key"]
            case "signed": fields = ["subject"]
            default: break
            }
            for manner in [LeakyProvider.Manner.refuses, .quotesParts, .serves] {
                leaky.expect(manner, of: fields.isEmpty ? "perennial-dry-run-not-a-refresh-token" : secrets.broken.text)
                _ = try await command(
                    ["providers", "test", provider] + fields.flatMap { ["--field-file", "\($0)=\(field)"] })
            }
            guard provider == "plain" || provider == "nowhere" else { continue }
            _ = try await command(
                "providers", "test", provider, "--answer", answer, "--status", "400", "--header",
                "WWW-Authenticate: Basic realm=x")
        }
    }

    private func command(_ words: String...) async throws -> Int32? { try await command(words) }

    private func command(_ words: [String], state: String? = nil) async throws -> Int32? {
        let process = try await workshop.start(
            "command", workshop.perennial,
            words + ["--config", configuration, "--state-dir", state ?? workshop.path("state-cli")])
        try await process.waitUntilEnded(timeout: .seconds(60))
        return await process.exitCode
    }

    // MARK: Where to look

    /// Every place and what is there.
    func places() async throws -> [(String, [UInt8])] {
        try await keepFiles("at the end")
        try await keepStore()
        return await book.places
    }

    /// Logs, output, journals, vaults and whatever else there is, but what was given to Perennial.
    private func keepFiles(_ when: String) async throws {
        for path in try files(workshop.directory) where !path.hasPrefix("given/") {
            await book.add("\(path) \(when)", try bytes(of: workshop.path(path)))
        }
    }

    /// All that Redis has: key by key, as it writes it to disk, and what it tells of commands and clients.
    private func keepStore() async throws {
        for key in try await redis.ask("keys", "*").split(separator: "\n").map(String.init) {
            let reply =
                switch try await redis.ask("type", key) {
                case "hash": try await redis.ask("hgetall", key)
                case "list": try await redis.ask("lrange", key, "0", "-1")
                case "set": try await redis.ask("smembers", key)
                case "zset": try await redis.ask("zrange", key, "0", "-1", "withscores")
                case "stream": try await redis.ask("xrange", key, "-", "+")
                default: try await redis.ask("get", key)
                }
            await book.add("the key \(key)", Array(reply.utf8))
        }
        await book.add("the slow log", Array(try await redis.ask("slowlog", "get", "20000").utf8))
        await book.add("the clients", Array(try await redis.ask("client", "list").utf8))
        _ = try await redis.ask("save", timeout: .seconds(60))
        for path in try files(redis.directory) where !path.hasSuffix(".conf") {
            await book.add("redis: \(path)", try bytes(of: "\(redis.directory)/\(path)"))
        }
    }

    private func bytes(of path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    /// Below a folder, its own path left out.
    private func files(_ folder: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder).filter { path in
            let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(path)")
            return attributes?[.type] as? FileAttributeType == .typeRegular
        }
    }

    private func output(_ words: [String], state: String) async throws -> String {
        let process = try await workshop.start(
            "command", workshop.perennial, words + ["--config", configuration, "--state-dir", state])
        try await process.waitUntilEnded(timeout: .seconds(60))
        return process.log
    }
}
