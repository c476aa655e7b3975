import ConfigurationFile
import CurlClient
import NIOConcurrencyHelpers
import Providers
import RefreshCore

func name(_ text: String) throws -> ProviderName { try ProviderName(text) }

/// Reads the entries under `providers` out of `yaml`, as the whole configuration does.
func readProviders(
    _ yaml: String, defaultWindow: Duration = .seconds(300), environment: [String: String] = [:]
) throws(ConfigurationError) -> ProviderCatalog {
    let document = try ConfigurationDocument(Array(yaml.utf8), file: "p.yaml")
    let issues = ConfigurationIssues()
    let catalog = document.read(environment: environment, issues: issues) { top in
        top.section("providers") { ProviderCatalog.read($0, defaultWindow: defaultWindow) } ?? ProviderCatalog()
    }
    try issues.throwIfAny()
    return catalog
}

func providerIssues(_ yaml: String) -> [String] {
    do {
        _ = try readProviders(yaml)
        return []
    } catch {
        return error.issues.map(\.description)
    }
}

/// A clock that stands still.
struct FixedTime: TimeSource {
    var now = WallTime(milliseconds: 1_800_000_000_000)

    func wall() -> WallTime { now }
    func monotonic() -> MonotonicTime { MonotonicTime(nanoseconds: 1_000_000_000) }
    func sleep(until deadline: MonotonicTime) async throws {}
}

/// Answers every request the same way and remembers the last one.
final class RecordingTransport: TokenTransport {
    private let last = NIOLockedValueBox<CurlRequest?>(nil)
    private let answer: Result<CurlResponse, CurlError>

    init(_ answer: Result<CurlResponse, CurlError>) { self.answer = answer }

    var request: CurlRequest? { last.withLockedValue { $0 } }

    func execute(_ request: CurlRequest) async throws(CurlError) -> CurlResponse {
        last.withLockedValue { $0 = request }
        return try answer.get()
    }
}

func claim(provider: ProviderName, refreshToken: String) throws -> RefreshClaim {
    let time = WallTime(milliseconds: 0)
    let account = AccountSnapshot(
        id: try AccountID("a"), provider: provider, generation: Generation(1), createdAt: time, updatedAt: time)
    return RefreshClaim(
        account: account, attempt: AttemptID(rawValue: "x"), generation: Generation(1),
        refreshToken: Secret(refreshToken), isRecovery: false)
}

let requestedAt = WallTime(milliseconds: 1_800_000_000_000)

func answer(_ status: Int, _ body: String, _ headers: [(String, String)] = []) -> RawTokenResponse {
    RawTokenResponse(
        status: status, headers: headers.map { RawTokenResponse.Header(name: $0.0, value: $0.1) },
        body: Array(body.utf8), requestedAt: requestedAt)
}

/// One provider of each preset, and `interpret` as the core calls it.
struct Interpreting {
    let client: TokenEndpointClient

    init() throws {
        let catalog = try readProviders(
            """
            providers:
              oauth2: { token_url: "https://h/t", client_id: c, client_secret: "s3cr3t-value" }
              claude: { preset: claude, client_id: c }
              gemini: { preset: gemini, client_id: c, client_secret: s }
            """)
        let response: Result<CurlResponse, CurlError> = .success(CurlResponse(status: 200))
        client = TokenEndpointClient(
            catalog: catalog, transport: RecordingTransport(response), time: FixedTime())
    }

    func callAsFunction(_ response: RawTokenResponse, _ provider: String = "oauth2") throws -> ExchangeOutcome {
        client.interpret(response, provider: try name(provider))
    }
}

extension ExchangeOutcome {
    var kind: String {
        switch self {
        case .rotated: "rotated"
        case .refused: "refused"
        case .misconfigured: "misconfigured"
        case .throttled: "throttled"
        case .ambiguous: "ambiguous"
        }
    }

    var message: String {
        switch self {
        case .rotated: ""
        case .refused(let text), .misconfigured(let text), .ambiguous(let text): text
        case .throttled(let text, _): text
        }
    }

    var pause: Duration? {
        if case .throttled(_, let pause) = self { pause } else { nil }
    }

    var grant: TokenGrant? {
        if case .rotated(let grant) = self { grant } else { nil }
    }
}

/// What each preset needs, in a configuration.
let presetSettings = [
    "oauth2": "token_url: https://h/t, client_id: c",
    "client_credentials": "token_url: https://h/t, client_id: c, client_secret: cc-secret, client_auth: post",
    "jwt_bearer":
        "token_url: https://h/t, signing: { algorithm: HS256, key: 0123456789abcdef0123456789abcdef }, "
        + "assertion: { issuer: me, subject: you, audience: https://h/t }",
    "claude": "client_id: c", "gemini": "client_id: c, client_secret: gemini-secret", "openai": "client_id: c",
    "pixiv": "client_id: c, client_secret: pixiv-secret, vars: { hash_secret: pixiv-hash }",
    "warp": "token_url: https://h/proxy/token, vars: { key: warp-key }",
    "intranet": "token_url: https://h/login, response: { access_token: [/data/token, /access_token] }",
]

/// One provider of each preset, named like it.
func presetCatalog(_ more: String = "") throws -> ProviderCatalog {
    let entries = presetSettings.map { "  \($0.key): { preset: \($0.key), \($0.value)\(more) }" }
    return try readProviders("providers:\n" + entries.joined(separator: "\n"))
}
