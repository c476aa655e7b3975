import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The test suite of the Python package `requests`, made by people who never heard of Perennial, against httpbin: once
/// directly, once through the gateway.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct RequestsSuiteTests {
    @Test("what passes directly passes through the gateway")
    func theSameTestsPass() async throws {
        let port = try FreePort.find()
        let setup = CrashSite.Setup(more: { _ in
            """
            routes:
              httpbin:
                upstream: "http://127.0.0.1:\(port)"
                account: httpbin
                own_credential_wins: true

            """
        })
        try await CrashSite.run(setup) { site in
            let server = try await site.workshop.start(
                "httpbin", try PythonPeer.interpreter(), [PythonPeer.program("httpbin_server.py"), "--port", "\(port)"])
            try await server.waitUntil("ready", timeout: .seconds(60)) { server.log.contains("ready \(port)") }
            var account = try await site.mock.seedOne("httpbin-", isExpired: false)
            account.id = "httpbin"
            try await site.put(account)

            let direct = try await Self.outcomes(site.workshop, "direct", "http://127.0.0.1:\(port)")
            let through = try await Self.outcomes(
                site.workshop, "gateway", "\(site.instances[0].origin)/gw/httpbin")
            let passed = direct.filter { $0.value == "passed" }.keys
            #expect(passed.count > 300)
            let lost = Set(
                passed.filter { through[$0] != "passed" }.map { String($0.split(separator: ":").last ?? "") })
            #expect(lost == Set(Self.expected.keys), "\(lost.symmetricDifference(Self.expected.keys).sorted())")
        }
    }

    /// Tests that cannot pass behind a gateway, and why.
    private static let expected = [
        "test_DIGEST_HTTP_200_OK_GET": "a digest is made over the path, which is another one behind the gateway",
        "test_DIGEST_AUTH_RETURNS_COOKIE": "the same",
        "test_DIGEST_STREAM": "the same",
        "test_cookie_removed_on_expire":
            "a cookie without a path belongs to the path of the request, which is another one",
        "test_proxy_authorization_preserved_on_request": "credentials for a proxy are not passed on (RFC 9110 §11.7.2)",
        "test_request_with_bytestring_host": "without keys only this machine's own names are taken as Host",
    ]

    /// What came of each test.
    private static func outcomes(_ workshop: Workshop, _ name: String, _ url: String) async throws -> [String: String] {
        let file = workshop.path("\(name).json")
        let python = try PythonPeer.interpreter()
        let suite = python.components(separatedBy: "/bin/python")[0] + "/requests/tests/test_requests.py"
        // Tests that fail either way make it fail.
        let process = try await workshop.start(
            "requests-\(name)", "env",
            [
                "HTTPBIN_URL=\(url)", "OUTCOMES=\(file)", "PYTHONPATH=\(PythonPeer.folder)", python, "-m", "pytest",
                "-q",
                "-p", "gateway_fixtures", "-p", "no:cacheprovider", suite, "-k", "not secure and not TestTimeout",
            ])
        try await process.waitUntilEnded(timeout: .seconds(240))
        return try JSONDecoder().decode([String: String].self, from: Data((TextFile.read(file) ?? "").utf8))
    }
}
