import CurlClient
import PerennialServers
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Three instances at log level trace, a Redis, a proxy that works, and a provider that quotes what it is sent: all of
/// them hold secrets that are known here.
struct SecretsSite: Sendable {
    let workshop: Workshop
    let redis: RedisServer
    let leaky: LeakyProvider
    let configuration: String
    let secrets: Secrets
    let instances: [PerennialInstance]
    /// A proxy that works, with user name and password.
    let proxyPort: Int
    let callerKey: String
    let book: Book

    /// What has been found and planted so far.
    actor Book {
        private(set) var places: [(String, [UInt8])] = []
        private(set) var planted: [PlantedSecret] = []
        func add(_ place: String, _ bytes: [UInt8]) { places.append((place, bytes)) }
        func plant(_ secret: PlantedSecret) { planted.append(secret) }
    }

    /// Those that are given to Perennial before it starts.
    struct Secrets: Sendable {
        let redis = PlantedSecret.random("the password of Redis", odd: "+/")
        let sealing = PlantedSecret("the sealing key", SealingKey.generate().revealBase64())
        let basic = PlantedSecret.random("a client secret for HTTP basic", odd: " &%=")
        let posted = PlantedSecret.random("a client secret in a file", odd: "+/")
        let hash = PlantedSecret.random("a hash secret")
        let key = PlantedSecret.random("a key in the query")
        let signing = PlantedSecret.random("a signing key", length: 48)
        let tenant = PlantedSecret.random("a part of the path", odd: "-_")
        let providerProxy = PlantedSecret.random("the password of a provider's proxy", odd: "&=")
        let accountProxy = PlantedSecret.random("the password of an account's proxy", odd: "-_")
        let wrongProxy = PlantedSecret.random("the wrong password of an account's proxy", odd: "-_")
        let slack = PlantedSecret.random("the path of a webhook", odd: "")
        let query = PlantedSecret.random("the query of a webhook", odd: "-_")
        let telegram = PlantedSecret.random("the token of a bot", odd: ":-")
        let dead = PlantedSecret.random("the path of a webhook that refuses", odd: "")
        let away = PlantedSecret.random("the path of a webhook that is away", odd: "")
        let header = PlantedSecret.random("the header of a webhook")
        let bot = PlantedSecret.random("the secret of a bot", odd: "")
        let routing = PlantedSecret.random("a key in a webhook's template", odd: "")
        let signatures = (0..<2).map { number in
            PlantedSecret(
                "signing secret \(number) of a webhook",
                "whsec_" + Data((0..<32).map { _ in UInt8.random(in: 0...255) }).base64EncodedString())
        }
        let fallback = PlantedSecret.random("a fallback token", odd: "-_")
        let wrongCaller = PlantedSecret.random("a caller's key that is none", odd: "-_")
        let broken = PlantedSecret.random("a token in a request that is turned away", odd: "-_")
        let mistyped = PlantedSecret.random("a secret in a broken configuration", odd: "-_")
        let wrongCode = PlantedSecret.random("a pasted code of another log-in", odd: "-_")
        var all: [PlantedSecret] {
            [
                redis, sealing, basic, posted, hash, key, signing, tenant, providerProxy, accountProxy, wrongProxy,
                slack, query, telegram, dead, away, header, bot, routing, fallback, wrongCaller, broken, mistyped,
                wrongCode,
            ] + signatures
        }
    }

    /// Providers whose accounts have a refresh token, and those whose accounts have not.
    static let rotating = ["plain", "posted", "hashed", "keyed", "tenant"]
    static let fielded = ["intra", "machine", "signed"]

    static func run(_ body: (SecretsSite) async throws -> Void) async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary, prefix: "sec") { workshop in
            let secrets = Secrets()
            let redis = try await RedisServer.start(
                .init(
                    .tcp, password: secrets.redis.text,
                    directives: [
                        "appendonly yes", "rdbcompression no", "slowlog-log-slower-than 0", "slowlog-max-len 20000",
                    ]))
            let leaky = try await LeakyProvider.start()
            do {
                try await body(try await SecretsSite(workshop, redis, leaky, secrets))
            } catch {
                await redis.stop()
                await leaky.stop()
                throw error
            }
            await redis.stop()
            await leaky.stop()
        }
    }

    private init(
        _ workshop: Workshop, _ redis: RedisServer, _ leaky: LeakyProvider, _ secrets: Secrets
    ) async throws {
        self.workshop = workshop
        self.redis = redis
        self.leaky = leaky
        proxyPort = try FreePort.find()
        self.secrets = secrets
        book = Book()
        try FileManager.default.createDirectory(atPath: workshop.path("given"), withIntermediateDirectories: true)
        configuration = workshop.path("given/perennial.yaml")
        for (name, secret) in [
            ("sealing.key", secrets.sealing), ("posted.txt", secrets.posted), ("key.txt", secrets.key),
        ] { try TextFile.write(secret.text + "\n", to: workshop.path("given/\(name)")) }
        try TextFile.write(
            """
            Port \(proxyPort)
            Listen 127.0.0.1
            LogLevel Critical
            BasicAuth planted-user \(secrets.accountProxy.text)

            """, to: workshop.path("given/tinyproxy.conf"))
        let yaml = Self.yaml(workshop, redis: redis.port ?? 0, leaky: leaky.port, secrets)
        try TextFile.write(yaml, to: configuration)
        // One of them logs for people.
        let readable = workshop.path("given/readable.yaml")
        try TextFile.write(yaml.replacing("format: json", with: "format: text"), to: readable)

        // Shows the key this once, which is what it is there for.
        let made = try await workshop.run(
            "keys", workshop.perennial,
            ["keys", "create", "--name", "test", "--scope", "admin", "--json", "--config", configuration],
            timeout: .seconds(30))
        struct Made: Decodable { var key: String }
        let line = made.split(separator: "\n").first { $0.hasPrefix("{") } ?? "{}"
        let caller = try JSONDecoder().decode(Made.self, from: Data(line.utf8)).key
        await book.plant(PlantedSecret("a caller's key", caller))
        for file in try FileManager.default.contentsOfDirectory(atPath: workshop.directory)
        where file.hasSuffix("-keys.log") { try FileManager.default.removeItem(atPath: workshop.path(file)) }
        callerKey = caller

        _ = try await workshop.start("tinyproxy", "tinyproxy", ["-d", "-c", workshop.path("given/tinyproxy.conf")])
        var instances: [PerennialInstance] = []
        for number in 1...3 {
            instances.append(
                try await PerennialInstance.start(
                    workshop, configuration: number == 1 ? readable : configuration, number: number))
        }
        self.instances = instances
    }

    private static func yaml(_ workshop: Workshop, redis: Int, leaky: Int, _ secrets: Secrets) -> String {
        func quoted(_ secret: PlantedSecret) -> String { "'\(secret.text)'" }
        let token = "http://127.0.0.1:\(leaky)/token"
        let times = """
            send_by: 1s
                connect_timeout: 1s
                exchange_deadline: 5s
                lock_ttl: 10s
                circuit_breaker: off
                backoff: { base: 200ms, cap: 1s }
            """
        return """
            redis: { url: "redis://127.0.0.1:\(redis)", password: \(quoted(secrets.redis)), command_timeout: 1s }
            sealing: { key_file: "\(workshop.path("given/sealing.key"))" }
            auth: { keys_file: "\(workshop.path("callers.json"))" }
            lease: { ttl: 2s }
            log: { level: trace, format: json }
            fallback:
              accounts:
                plain-refuses: { token: \(quoted(secrets.fallback)) }
            providers:
              plain:
                token_url: "\(token)"
                client_id: app
                client_secret: \(quoted(secrets.basic))
                rotation: single_use
                login:
                  authorization_url: "http://127.0.0.1:\(leaky)/authorize"
                  device_authorization_url: "http://127.0.0.1:\(leaky)/device"
                  redirect_uri: http://127.0.0.1:8799/code
                \(times)
              posted:
                preset: gemini
                token_url: "\(token)"
                client_id: app
                client_secret_file: "\(workshop.path("given/posted.txt"))"
                \(times)
              hashed:
                preset: pixiv
                token_url: "\(token)"
                client_id: app
                client_secret: \(quoted(secrets.posted))
                vars: { hash_secret: \(quoted(secrets.hash)) }
                headers: { X-Plain: "{{ vars.hash_secret }}" }
                \(times)
              keyed:
                preset: warp
                token_url: "\(token)"
                vars: { key_file: "\(workshop.path("given/key.txt"))" }
                \(times)
              tenant:
                token_url: "\(token)/{{ vars.tenant }}"
                client_id: app
                vars: { tenant: \(quoted(secrets.tenant)) }
                rotation: reusable
                \(times)
              intra:
                preset: intranet
                token_url: "\(token)"
                response: { access_token: /data/token, expires_in: /expires_in }
                errors: { token: [{ json: { /code: 40001 }, class: refused }] }
                \(times)
              machine:
                preset: intranet
                token_url: "\(token)"
                account_fields: [username, private_key]
                request:
                  json:
                    username: "{{ account.username }}"
                    key: "{{ account.private_key }}"
                    signature: "{{ hmac_sha256(now.iso, account.private_key) }}"
                response: { access_token: /data/token, expires_in: /expires_in }
                \(times)
              signed:
                preset: jwt_bearer
                token_url: "\(token)"
                account_fields: [subject]
                signing: { algorithm: HS256, key: \(quoted(secrets.signing)) }
                assertion: { issuer: me, subject: "{{ account.subject }}", audience: them }
                \(times)
              led:
                token_url: "\(token)"
                client_id: app
                rotation: reusable
                proxy: { url: "http://127.0.0.1:\(leaky)", username: planted-user, password: \(quoted(secrets.providerProxy)) }
                \(times)
              nowhere:
                token_url: "http://127.0.0.1:9/{{ vars.tenant }}"
                client_id: app
                client_secret: \(quoted(secrets.basic))
                vars: { tenant: \(quoted(secrets.tenant)) }
                rotation: reusable
                \(times)
            pools:
              found:
                acquisition:
                  provider: tenant
                  max_per_day: 2
                  min_interval: 1s
                  steps:
                    - name: first
                      request: { url: "http://127.0.0.1:\(leaky)/first", json: { key: "{{ vars.tenant }}" } }
                      extract: { session: /session }
                    - name: second
                      request: { url: "\(token)", json: { code: "{{ steps.first.session }}" } }
                      extract: { refresh_token: /refresh_token }
                  refresh_token: "{{ steps.second.refresh_token }}"
            webhooks:
              slack:
                url: "http://127.0.0.1:\(leaky)/hook/T0/B0/\(secrets.slack.text)"
                format: slack
                \(Self.patience)
              signed:
                url: "http://127.0.0.1:\(leaky)/hook?key=\(secrets.query.text)"
                secrets: [\(secrets.signatures.map(quoted).joined(separator: ", "))]
                headers: { X-Hook-Token: \(quoted(secrets.header)), Authorization: "Bearer \(secrets.header.text)" }
                \(Self.patience)
              feishu:
                url: "http://127.0.0.1:\(leaky)/ok/\(secrets.slack.text)"
                format: feishu
                bot_secret: \(quoted(secrets.bot))
                \(Self.patience)
              telegram:
                url: "http://127.0.0.1:\(leaky)/hook/bot\(secrets.telegram.text)/sendMessage"
                format: telegram
                chat_id: "-100"
                \(Self.patience)
              dead:
                url: "http://127.0.0.1:\(leaky)/dead/\(secrets.dead.text)"
                secret: \(quoted(secrets.signatures[0]))
                template: '{ "routing_key": "\(secrets.routing.text)", "text": "{{text}}" }'
                \(Self.patience)
              away:
                url: "http://127.0.0.1:9/\(secrets.away.text)"
                \(Self.patience)

            """
    }

    private static let patience = "timeout: 1s\n    backoff: { base: 100ms, cap: 300ms }"
}
