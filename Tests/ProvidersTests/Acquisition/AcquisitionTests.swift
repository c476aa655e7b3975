import ConfigurationFile
import CurlClient
import NIOConcurrencyHelpers
import RefreshCore
import Testing

@testable import Providers

private let providers = """
    providers:
      warp:
        preset: oauth2
        token_url: https://warp.example/token
        client_id: c
        client_auth: none
        vars: { key: k3y }

    """

/// The known shape: an id token, a sign-in with it, and what the provider's own refresh begins with.
private let pools = """
    pools:
      warp:
        acquisition:
          provider: warp
          max_per_day: 3
          steps:
            - name: create
              request:
                url: https://app.example/graphql
                json: { query: "mutation { createAnonymousUser }", variables: { requestId: "{{ uuid }}", fresh: true } }
              extract: { id_token: /data/createAnonymousUser/idToken }
            - name: sign_in
              request:
                url: "https://identity.example/v1/accounts:signInWithCustomToken"
                query: { key: "{{ vars.key }}" }
                form: { returnSecureToken: "true", token: "{{ steps.create.id_token }}" }
              extract: { refresh_token: [/refreshToken, /refresh_token], user: /localId }
          refresh_token: "{{ steps.sign_in.refresh_token }}"
          account_id: "anonymous-{{ steps.sign_in.user }}"
    """

private func read(_ yaml: String) throws(ConfigurationError) -> (ProviderCatalog, PoolCatalog) {
    let document = try ConfigurationDocument(Array(yaml.utf8), file: "p.yaml")
    let issues = ConfigurationIssues()
    let catalogs = document.read(environment: [:], issues: issues) { top in
        let catalog =
            top.section("providers") { ProviderCatalog.read($0, defaultWindow: .seconds(300)) } ?? ProviderCatalog()
        return (catalog, top.section("pools") { PoolCatalog.read($0, catalog: catalog) } ?? PoolCatalog())
    }
    try issues.throwIfAny()
    return catalogs
}

private func issues(_ yaml: String) -> [String] {
    do {
        _ = try read(yaml)
        return []
    } catch {
        return error.issues.map(\.description)
    }
}

/// Answers one request after the other from a list, and remembers them.
private final class ScriptedTransport: TokenTransport {
    private let state: NIOLockedValueBox<(requests: [CurlRequest], answers: [Result<CurlResponse, CurlError>])>

    init(_ answers: [Result<CurlResponse, CurlError>]) { state = NIOLockedValueBox(([], answers)) }

    convenience init(_ bodies: [String]) {
        self.init(bodies.map { .success(CurlResponse(status: 200, body: Array($0.utf8))) })
    }

    var requests: [CurlRequest] { state.withLockedValue { $0.requests } }

    func execute(_ request: CurlRequest) async throws(CurlError) -> CurlResponse {
        let answer = state.withLockedValue { state in
            state.requests.append(request)
            return state.answers.isEmpty
                ? .failure(CurlError(code: .connect, unsent: true, message: "more requests than expected"))
                : state.answers.removeFirst()
        }
        return try answer.get()
    }
}

struct AcquisitionTests {
    private func acquire(_ transport: ScriptedTransport, _ yaml: String = providers + pools) async throws
        -> AcquiredAccount
    {
        let (catalog, pools) = try read(yaml)
        let runner = AcquisitionRunner(
            chains: pools.chains, catalog: catalog, transport: transport, time: FixedTime())
        return try await runner.acquire(for: try PoolName("warp"))
    }

    private func body(_ request: CurlRequest) -> String { String(decoding: request.body ?? [], as: UTF8.self) }

    @Test("each step uses what the ones before have brought")
    func chain() async throws {
        let transport = ScriptedTransport([
            #"{"data":{"createAnonymousUser":{"idToken":"id+1"}}}"#,
            #"{"refreshToken":"r-1","localId":"u7","expiresIn":"3600"}"#,
        ])
        let account = try await acquire(transport)
        #expect(account.id.rawValue == "anonymous-u7")
        #expect(account.credential == .refreshToken(Secret("r-1")))
        let requests = transport.requests
        #expect(requests.map(\.method) == ["POST", "POST"])
        #expect(body(requests[0]).contains(#""fresh":true"#))
        #expect(requests[1].url == "https://identity.example/v1/accounts:signInWithCustomToken?key=k3y")
        #expect(body(requests[1]) == "returnSecureToken=true&token=id%2B1")
        #expect(requests.filter { !$0.singleSend }.isEmpty)
    }

    @Test("a run makes another account each time, without being told how")
    func ids() async throws {
        let yaml = (providers + pools).replacing(#"      account_id: "anonymous-{{ steps.sign_in.user }}""#, with: "")
        var ids: Set<AccountID> = []
        for _ in 0..<3 {
            let transport = ScriptedTransport([
                #"{"data":{"createAnonymousUser":{"idToken":"i"}}}"#, #"{"refreshToken":"r","localId":"u"}"#,
            ])
            let id = try await acquire(transport, yaml).id
            #expect(id.rawValue.hasPrefix("warp-"))
            ids.insert(id)
        }
        #expect(ids.count == 3)
    }

    @Test(
        "a failed step ends the run, names itself, and repeats nothing of the answer",
        arguments: [
            (CurlResponse(status: 429, headers: [("Retry-After", "77")], body: Array("secret-1".utf8)), "throttled"),
            (CurlResponse(status: 503, headers: [("Retry-After", "77")]), "throttled"),
            (CurlResponse(status: 403, body: Array("secret-1".utf8)), "refused"),
            (CurlResponse(status: 200, body: Array(#"{"data":null,"errors":["secret-1"]}"#.utf8)), "unusable"),
            (CurlResponse(status: 200, body: Array("<html>secret-1".utf8)), "unusable"),
            (CurlResponse(status: 200), "unusable"),
        ])
    func failures(response: CurlResponse, cause: String) async throws {
        let transport = ScriptedTransport([.success(response)])
        let failure = await #expect(throws: AcquisitionFailure.self) { _ = try await acquire(transport) }
        #expect(failure?.cause.rawValue == cause)
        #expect(failure?.step == "create")
        #expect(failure?.retryAfter == (cause == "throttled" ? .seconds(77) : nil))
        #expect(failure.map { !"\($0)".contains("secret-1") } == true)
        #expect(transport.requests.count == 1)
    }

    @Test("a token with a line break is not stored", arguments: ["a\\nb", "a\\u0000", ""])
    func badToken(token: String) async throws {
        let transport = ScriptedTransport([
            #"{"data":{"createAnonymousUser":{"idToken":"i"}}}"#, #"{"refreshToken":"\#(token)","localId":"u"}"#,
        ])
        await #expect(throws: AcquisitionFailure.self) { _ = try await acquire(transport) }
    }

    @Test("limits have defaults, and the pool its usual tiers")
    func limits() throws {
        let (_, catalog) = try read(providers + pools)
        let pool = try #require(catalog.settings[try PoolName("warp")])
        #expect(pool.tiers.map(\.rawValue) == ["anonymous", "shared", "personal"])
        let limits = try #require(pool.acquisition)
        #expect(limits.tier.rawValue == "anonymous")
        #expect(limits.maxPerDay == 3)
        #expect(limits.minAvailable == 1)
        #expect(limits.longestRun == .seconds(40))
    }

    @Test(
        "what is wrong is named with its line, and what to write instead",
        arguments: [
            ("provider: warp\n", "provider: wrap\n", ["did you mean warp?"]),
            ("{{ vars.key }}", "{{ vars.kay }}", ["{{ vars.kay }} names nothing: did you mean vars.key?"]),
            ("{{ steps.create.id_token }}", "{{ steps.sign_in.user }}", ["{{ steps.sign_in.user }} names nothing"]),
            ("/data/createAnonymousUser/idToken", "data.idToken", ["a JSON pointer begins with /"]),
            ("https://app.example/graphql", "http://app.example/graphql", ["unencrypted"]),
            ("- name: sign_in", "- name: create", ["is the name of an earlier step"]),
            ("anonymous-{{ steps.sign_in.user }}", "anonymous", ["the same for every new account"]),
            ("max_per_day: 3", "max_a_day: 3", ["unknown key; did you mean max_per_day?"]),
            ("max_per_day: 3", "tier: shred", [#""shred" is none of the pool's tiers"#]),
            ("max_per_day: 3", "max_per_day: 0", ["is not a whole number from 1"]),
            (#"refresh_token: "{{ steps.sign_in.refresh_token }}""#, "", ["needs refresh_token"]),
        ])
    func mistakes(old: String, new: String, messages: [String]) {
        let yaml = (providers + pools).replacing(old, with: new)
        #expect(yaml != providers + pools)
        let found = issues(yaml)
        for message in messages {
            let isTold = found.contains { $0.contains(message) && $0.contains("p.yaml:") }
            #expect(isTold, "\(found)")
        }
    }
}
