import Logging
import NIOConcurrencyHelpers
import RefreshCore
import Testing

@testable import PerennialAPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite struct AuthenticationTests {
    /// A key file in a directory of its own, removed at the end.
    struct KeyDirectory: ~Copyable {
        let path: String

        init() throws {
            var template = Array("/tmp/perennial-api-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { throw DurableFile.Failure("mkdtemp") }
            path = template.withUnsafeBufferPointer {
                String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }

        var file: CallerKeyFile { CallerKeyFile(path: path + "/keys.json") }

        deinit {
            for name in ["keys.json", "keys.json.lock", "s.sock"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
    }

    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    struct Demand: Sendable, CustomTestStringConvertible {
        var method: String
        var target: String
        var body: String?
        var scope: Scope?

        var testDescription: String { "\(method) \(target)" }
    }

    static let demands = [
        Demand(method: "GET", target: "/livez", scope: nil),
        Demand(method: "GET", target: "/readyz", scope: nil),
        Demand(method: "GET", target: "/metrics", scope: .read),
        Demand(method: "GET", target: "/v1/accounts", scope: .read),
        Demand(method: "GET", target: "/v1/accounts/a", scope: .read),
        Demand(method: "HEAD", target: "/v1/accounts/a", scope: .read),
        Demand(method: "GET", target: "/v1/accounts/a/token", scope: .read),
        Demand(method: "GET", target: "/v1/accounts/a/token?min_ttl=0", scope: .read),
        Demand(method: "GET", target: "/v1/instances", scope: .read),
        Demand(method: "GET", target: "/v1/pools", scope: .read),
        Demand(method: "GET", target: "/v1/pools/p", scope: .read),
        Demand(method: "GET", target: "/v1/pools/p/token", scope: .read),
        Demand(
            method: "POST", target: "/v1/pools/p/report", body: #"{"account":"pooled","outcome":"ok"}"#, scope: .read),
        Demand(method: "POST", target: "/v1/pools/p/cooldown", body: #"{"account":"pooled","for":1}"#, scope: .refresh),
        Demand(method: "POST", target: "/v1/pools/p/release", scope: .refresh),
        Demand(method: "POST", target: "/v1/accounts/a/refresh", scope: .refresh),
        Demand(method: "PUT", target: "/v1/accounts/a", body: AccountTests.body, scope: .admin),
        Demand(method: "PATCH", target: "/v1/accounts/a", body: #"{"name":"x"}"#, scope: .admin),
        Demand(method: "POST", target: "/v1/accounts/a/pause", scope: .admin),
        Demand(method: "POST", target: "/v1/accounts/a/resume", scope: .admin),
        Demand(method: "GET", target: "/v1/accounts/a/orphans", scope: .admin),
        Demand(method: "POST", target: "/v1/accounts/a/orphans/x/restore", scope: .admin),
        Demand(method: "DELETE", target: "/v1/accounts/a/orphans/x", scope: .admin),
        Demand(method: "DELETE", target: "/v1/accounts/a", scope: .admin),
    ]

    @Test(arguments: demands) func scopesDecide(_ demand: Demand) async throws {
        let pool = try PoolName("p")
        let house = try House(pools: [PoolSettings(name: pool)])
        let directory = try KeyDirectory()
        var texts: [Scope: String] = [:]
        for scope in Scope.allCases {
            texts[scope] = try directory.file.create(name: scope.rawValue, scopes: [scope], now: House.start).text
                .reveal()
        }
        let keys = try CallerKeys(file: directory.file, time: house.time, logger: Self.quiet)
        let all = texts
        try await house.serve(keys: keys) { client async throws in
            func send(_ headers: [String]) async throws -> RawResponse {
                try house.addWarm("a")
                try house.add("pooled") { $0.pool = pool }
                house.fleet.addOrphan(
                    Orphan(attempt: AttemptID(rawValue: "x"), generation: Generation(1), keptAt: House.start),
                    of: try AccountID("a"))
                // A Host of another machine is fine where keys say who is asking.
                return try await client.send(
                    demand.method, demand.target, headers: headers + ["Host: perennial.example"], body: demand.body)
            }
            for scope in Scope.allCases {
                let text = try #require(all[scope])
                let isAllowed = demand.scope.map { scope.implies($0) } ?? true
                for header in [
                    "Authorization: Bearer \(text)", "authorization: bearer \(text)", "X-Perennial-Key: \(text)",
                ] {
                    let response = try await send([header])
                    #expect((200..<300).contains(response.status) == isAllowed, "\(scope) \(header.prefix(13))")
                    if !isAllowed, demand.method != "HEAD" {
                        #expect(response.status == 403)
                        #expect(response.member("type") == "urn:perennial:problem:insufficient_scope")
                        #expect(response.member("detail")?.contains(demand.scope?.rawValue ?? "?") == true)
                    }
                }
            }
            let random = CallerKey.generate(name: "x", scopes: [.admin], now: House.start).text.reveal()
            let bad = [
                [], ["Authorization: Bearer \(random)"], ["Authorization: Basic abc"], ["Authorization: Bearer"],
                ["X-Perennial-Key: \(random)"], ["X-Perennial-Key: \(try #require(all[.admin]).dropLast())"],
                ["X-Perennial-Key: \(String(repeating: "x", count: 5000))"],
            ]
            for headers in bad {
                let response = try await send(headers)
                #expect(response.status == (demand.scope == nil ? 200 : 401))
                if demand.scope != nil {
                    #expect(response.headers["www-authenticate"]?.hasPrefix("Bearer realm=\"perennial\"") == true)
                    #expect(!response.body.contains(random) && !response.head.contains(random))
                }
            }
        }
    }

    @Test func aNewKeyWorksAndARevokedOneStopsWithoutARestart() async throws {
        let house = try House()
        try house.addWarm("a")
        let directory = try KeyDirectory()
        let file = directory.file
        let old = try file.create(name: "old", scopes: [.read], now: House.start)
        let keys = try CallerKeys(file: file, time: house.time, logger: Self.quiet)
        try await house.serve(keys: keys) { client async throws in
            func status(_ text: Secret) async throws -> Int {
                try await client.send("GET", "/v1/accounts/a/token", headers: ["X-Perennial-Key: \(text.reveal())"])
                    .status
            }
            #expect(try await status(old.text) == 200)
            let new = try file.create(name: "new", scopes: [.read], now: House.start)
            #expect(try file.revoke(id: old.key.id))
            #expect(try await status(new.text) == 401)
            house.time.advance(.seconds(1))
            #expect(try await status(new.text) == 200)
            #expect(try await status(old.text) == 401)
            // Nonsense leaves the keys in force; a missing file leaves none.
            try DurableFile.replace(file.path, with: Array("nonsense".utf8))
            house.time.advance(.seconds(1))
            #expect(try await status(new.text) == 200)
            unlink(file.path)
            house.time.advance(.seconds(1))
            #expect(try await status(new.text) == 401)
        }
    }

    @Test func keyFileKeepsDigestsOnly() throws {
        let directory = try KeyDirectory()
        let file = directory.file
        let (text, key) = try file.create(name: "ci \"x\"", scopes: [.read, .admin], now: House.start)
        #expect(text.reveal().wholeMatch(of: /prn_[0-9a-f]{8}_[A-Za-z0-9_-]{43}/) != nil)
        #expect("\(text)" == "set")
        let content = String(decoding: try DurableFile.read(file.path, limit: 10_000), as: UTF8.self)
        #expect(!content.contains(text.reveal()))
        #expect(content.contains(KeyDigest(of: text.reveal()[...]).hexadecimal))
        var status = stat()
        #expect(stat(file.path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        let loaded = try #require(try file.load().first)
        #expect(loaded.id == key.id && loaded.name == "ci \"x\"" && loaded.scopes == [.read, .admin])
        #expect(loaded.digest == key.digest)
        #expect(try file.revoke(id: "nobody") == false)
        #expect(try file.revoke(id: key.id))
        #expect(try file.load().isEmpty)
    }

    @Test func digestIsSHA256() {
        #expect(
            KeyDigest(of: "abc").hexadecimal == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(CallerKey.base64URL([0xfb, 0xff, 0xfe, 0x00]) == "-__-AA")
    }

    @Test(arguments: [
        ("{", "not JSON"), ("[]", "\"keys\""), (#"{"keys":[1]}"#, "entry 1"),
        (
            #"{"keys":[{"id":"a","name":"n","scopes":["root"],"sha256":"X","created_at":"2026-01-01T00:00:00Z"}]}"#,
            "sha256"
        ),
        (#"{"keys":[{"id":"a","name":"n","scopes":["read"],"sha256":"D","created_at":"now"}]}"#, "created_at"),
        (
            #"{"keys":[{"id":"a","name":"n","scopes":["root"],"sha256":"D","created_at":"2026-01-01T00:00:00Z"}]}"#,
            "scopes"
        ),
        (
            #"{"keys":[{"id":"a","name":"n","scopes":["read"],"sha256":"D","created_at":"2026-01-01T00:00:00Z","x":1}]}"#,
            "\"x\""
        ),
    ]) func aBadKeyFileIsRefusedByNameAndEntry(text: String, word: String) throws {
        let directory = try KeyDirectory()
        let content = text.split(separator: "\"D\"", omittingEmptySubsequences: false)
            .joined(separator: "\"\(String(repeating: "0a", count: 32))\"")
        try DurableFile.replace(directory.file.path, with: Array(content.utf8))
        let error = #expect(throws: CallerKeyFileError.self) { try directory.file.load() }
        #expect(error?.code == .malformed)
        #expect(error?.description.contains(word) == true)
        #expect(error?.description.contains(directory.file.path) == true)
        #expect(throws: CallerKeyFileError.self) {
            try directory.file.create(name: "n", scopes: [.read], now: House.start)
        }
    }

    @Test func aMissingKeyFileIsToldApart() throws {
        let directory = try KeyDirectory()
        let error = #expect(throws: CallerKeyFileError.self) { try directory.file.load() }
        #expect(error?.code == .missing)
    }

    @Test(arguments: [
        ("localhost", 200), ("LOCALHOST:8700", 200), ("127.0.0.1", 200), ("127.0.0.1:80", 200), ("[::1]:8700", 200),
        ("evil.example", 403), ("localhost.evil.example", 403), ("127.0.0.1.evil.example:80", 403), ("[::1].evil", 403),
        ("localhost:80:80", 403), ("localhost:", 403), ("10.0.0.1:8700", 403), ("", 403),
    ]) func withoutKeysOnlyLoopbackHostsAreAnswered(host: String, status: Int) async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            for target in ["/v1/accounts/a/token", "/v1/accounts/a"] {
                let response = try await client.send("GET", target, headers: ["Host: \(host)"])
                #expect(response.status == status)
                if status == 403 { #expect(response.member("type") == "urn:perennial:problem:forbidden_host") }
            }
        }
    }

    @Test(arguments: [
        ("http://localhost:8700", 200), ("https://localhost:8700", 200), ("http://localhost:3000", 403),
        ("http://evil.example", 403), ("null", 403), ("localhost:8700", 403),
    ]) func withoutKeysOtherOriginsAreRefused(origin: String, status: Int) async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            for (method, target) in [("GET", "/v1/accounts/a/token"), ("POST", "/v1/accounts/a/pause")] {
                let response = try await client.send(
                    method, target, headers: ["Host: localhost:8700", "Origin: \(origin)"])
                #expect(response.status == status)
            }
            #expect(house.fleet.snapshot(try AccountID("a"))?.enabled == (status == 403))
        }
    }
}
