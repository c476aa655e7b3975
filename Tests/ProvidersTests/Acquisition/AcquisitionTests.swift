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
        return try await runner.advance(try freshRun()) { _ in }
    }

    private func runner(_ transport: ScriptedTransport) throws -> AcquisitionRunner {
        let (catalog, pools) = try read(providers + pools)
        return AcquisitionRunner(chains: pools.chains, catalog: catalog, transport: transport, time: FixedTime())
    }

    private func freshRun() throws -> AcquisitionRun {
        AcquisitionRun(
            attempt: AttemptID(rawValue: "run"), pool: try PoolName("warp"), tier: try TierName("anonymous"),
            startedAt: WallTime(milliseconds: 1_700_000_000_000), uuid: TokenRequest.newUUID())
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
            (CurlResponse(status: 302, headers: [("Location", "https://secret-1.example/")]), "refused"),
            (CurlResponse(status: 503, body: Array("secret-1".utf8)), "unreachable"),
            (CurlResponse(status: 200, body: Array("[[[[[[".utf8)), "unusable"),
            (
                CurlResponse(status: 200, body: Array("{\"data\":{\"createAnonymousUser\":{\"idToken\":{}}}}".utf8)),
                "unusable"
            ),
            (CurlResponse(status: 200, body: [UInt8](repeating: 0xff, count: 1 << 20)), "unusable"),
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

    @Test("each answer is handed over before it is read, as it came, and a run goes on behind what it has")
    func resumed() async throws {
        let first = #"{"data":{"createAnonymousUser":{"idToken":"id-1"}}}"#
        let transport = ScriptedTransport([
            .success(CurlResponse(status: 200, body: Array(first.utf8))),
            .failure(CurlError(code: .timeout, unsent: false, message: "timed out")),
        ])
        let kept = NIOLockedValueBox<[AcquisitionRun]>([])
        let run = try freshRun()
        let failure = await #expect(throws: AcquisitionFailure.self) {
            _ = try await runner(transport).advance(run) { run in kept.withLockedValue { $0.append(run) } }
        }
        #expect(failure?.cause == .unreachable && failure?.step == "sign_in")
        let left = try #require(kept.withLockedValue { $0.last })
        #expect(left.answers == [.init(step: "create", body: Array(first.utf8))])

        let rest = ScriptedTransport([#"{"refreshToken":"r-1","localId":"u7"}"#])
        let account = try await runner(rest).advance(left) { run in kept.withLockedValue { $0.append(run) } }
        #expect(account.credential == .refreshToken(Secret("r-1")))
        #expect(rest.requests.map { body($0) } == ["returnSecureToken=true&token=id-1"])
        // With both answers there is nothing left to be sent.
        let complete = try #require(kept.withLockedValue { $0.last })
        #expect(complete.answers.count == 2)
        #expect(try await runner(ScriptedTransport([String]())).advance(complete) { _ in } == account)
    }

    @Test("an answer that cannot be read is handed over all the same")
    func keptUnread() async throws {
        for answer in ["<html>no</html>", "", "{\"data\":null}"] {
            let kept = NIOLockedValueBox<[AcquisitionRun]>([])
            await #expect(throws: AcquisitionFailure.self) {
                _ = try await runner(ScriptedTransport([answer])).advance(try freshRun()) { run in
                    kept.withLockedValue { $0.append(run) }
                }
            }
            let run = try #require(kept.withLockedValue { $0.first })
            #expect(run.answers.map(\.body) == [Array(answer.utf8)])
            #expect(try runner(ScriptedTransport([String]())).progress(of: run) == .init(values: 0, isReadable: false))
        }
    }

    @Test("what can be read of a run is counted by the chain as it is now")
    func progress() throws {
        let runner = try runner(ScriptedTransport([String]()))
        var run = try freshRun()
        #expect(runner.progress(of: run) == .init(values: 0, isReadable: true))
        run.answers = [
            .init(step: "create", body: Array(#"{"data":{"createAnonymousUser":{"idToken":"i"}}}"#.utf8)),
            .init(step: "sign_in", body: Array(#"{"refreshToken":"r"}"#.utf8)),
        ]
        #expect(runner.progress(of: run) == .init(values: 2, isReadable: false))
        run.answers = [.init(step: "renamed_since", body: Array("{}".utf8))]
        #expect(runner.progress(of: run) == .init(values: 1, isReadable: false), "who knows what it holds")
    }

    @Test("a value with a line break goes into no header")
    func header() async throws {
        let yaml = (providers + pools).replacing(
            #"query: { key: "{{ vars.key }}" }"#, with: #"headers: { X-Id: "{{ steps.create.id_token }}" }"#)
        #expect(yaml != providers + pools)
        let transport = ScriptedTransport([#"{"data":{"createAnonymousUser":{"idToken":"a\r\nX-Evil: 1"}}}"#])
        let failure = await #expect(throws: AcquisitionFailure.self) { _ = try await acquire(transport, yaml) }
        #expect(failure?.step == "sign_in" && failure?.cause == .unusable)
        #expect(transport.requests.count == 1)
    }

    @Test("an answer of 10 MB is cut off, and not asked for again")
    func tooLarge() async throws {
        let transport = ScriptedTransport([
            .failure(CurlError(code: .responseTooLarge, unsent: false, message: "more than 1048576 bytes"))
        ])
        let failure = await #expect(throws: AcquisitionFailure.self) { _ = try await acquire(transport) }
        #expect(failure?.cause == .unusable)
        #expect(transport.requests.first?.maxResponseBytes == 1 << 20)
    }

    @Test("the requests leave by the provider's proxy")
    func proxy() async throws {
        let yaml = (providers + pools).replacing(
            "    client_auth: none", with: "    client_auth: none\n    proxy: http://proxy.example:3128")
        let transport = ScriptedTransport([
            #"{"data":{"createAnonymousUser":{"idToken":"i"}}}"#, #"{"refreshToken":"r","localId":"u"}"#,
        ])
        _ = try await acquire(transport, yaml)
        #expect(transport.requests.map { $0.proxy?.url } == Array(repeating: "http://proxy.example:3128", count: 2))
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
            (
                "{{ steps.create.id_token }}", "{{ steps.sign_in.user }}",
                [
                    "p.yaml:23",
                    "{{ steps.sign_in.user }} is taken from this step's own answer: only later steps can use it",
                ]
            ),
            (
                "requestId: \"{{ uuid }}\"", "requestId: \"{{ steps.sign_in.user }}\"",
                [
                    "p.yaml:17",
                    "{{ steps.sign_in.user }} comes from a later step: put the step sign_in before this one",
                ]
            ),
            (
                "{{ vars.key }}", "{{ client_secret }}",
                ["{{ client_secret }} is not given: write client_secret under providers.warp"]
            ),
            (
                "{{ steps.sign_in.refresh_token }}", "{{ vars.key }}",
                ["refresh_token: is the same for every new account"]
            ),
            (
                "{{ steps.sign_in.refresh_token }}", "{{ steps.sign_in.token }}",
                ["names nothing: did you mean", "p.yaml:25"]
            ),
            ("[/refreshToken, /refresh_token]", "[/refreshToken, /refreshToken]", ["the second can never match"]),
            ("{ id_token: /data/createAnonymousUser/idToken }", "{ id_token: }", ["has no value"]),
            ("{ id_token: /data/createAnonymousUser/idToken }", "{ id_token: [] }", ["needs a JSON pointer"]),
            ("anonymous-{{ steps.sign_in.user }}", "anonymous-{{ vars.key }}", ["the same for every new account"]),
            ("extract: { id_token:", "extracts: { id_token:", ["unknown key; did you mean extract?"]),
            (
                "request:\n            url: https://app", "requests:\n            url: https://app",
                ["unknown key; did you mean request?"]
            ),
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
