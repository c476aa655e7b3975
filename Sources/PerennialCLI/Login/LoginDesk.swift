import CurlClient
import Logging
import Perennial
import PerennialConfiguration
import Providers
import RedisStore
import RefreshCore

/// One log-in from its beginning to the account in the store.
struct LoginDesk: Sendable {
    let instance: Instance
    let vault: LoginVault
    let plan: LoginPlan

    /// - Throws: ``CommandFailure``.
    func logIn() async throws {
        let (definition, flow) = try plan.check(instance.configuration.providers)
        try await checkAccount(of: definition)
        for warning in LoginWords.warnings(vault) { Terminal.standardError("note: \(warning)") }
        let curl = CurlClient()
        do {
            let (response, nonce, page) = try await receive(definition, flow, curl)
            await curl.shutdown()
            try await finish(response, nonce: nonce, definition, page)
        } catch let error as LoginError {
            await curl.shutdown()
            throw CommandFailure(error)
        } catch {
            await curl.shutdown()
            throw error
        }
    }

    /// Before anybody is sent to a browser: what is bound to fail at the end.
    private func checkAccount(of definition: ProviderDefinition) async throws {
        guard let account = plan.account, let found = try await instance.directory.read(account) else { return }
        guard found.provider == definition.name else {
            throw CommandFailure(
                .local,
                "account \(account) exists at provider \(found.provider): remove it first, or choose another id")
        }
    }

    private func receive(
        _ definition: ProviderDefinition, _ flow: LoginFlow, _ curl: CurlClient
    ) async throws -> (RawTokenResponse, nonce: String?, LoopbackReply?) {
        var proxy: ProxySetting?
        if let account = plan.account { proxy = try await instance.directory.read(account)?.proxy }
        let client = LoginClient(
            definition, route: RequestRoute(proxy, definition: definition), transport: curl, time: instance.time)
        switch flow {
        case .device:
            let response = try await DeviceLogin(client: client, definition: definition, plan: plan).run()
            return (response, nil, nil)
        case .paste:
            let (request, code) = try await PastedLogin(definition: definition, plan: plan).run()
            return (try answered(await client.exchange(code, for: request)), request.nonce, nil)
        case .loopback:
            let (request, code, reply) = try await LoopbackLogin(definition: definition, plan: plan).run()
            do {
                return (try answered(await client.exchange(code, for: request)), request.nonce, reply)
            } catch {
                await reply.finish(.failure(error.description))
                throw error
            }
        }
    }

    private func answered(_ result: ExchangeResult) throws(LoginError) -> RawTokenResponse {
        switch result {
        case .answered(let response): return response
        case .unsent(let reason), .unreachable(let reason):
            throw LoginError(.unreachable, "the code could not be sent to the token endpoint: \(reason). Log in again")
        case .unanswered(let reason):
            throw LoginError(
                .unreachable,
                "the token endpoint's answer is lost: \(reason). The code is used up by now: log in again")
        }
    }

    /// Keeps the answer, reads it, stores what it holds.
    private func finish(
        _ response: RawTokenResponse, nonce: String?, _ definition: ProviderDefinition, _ page: LoopbackReply?
    ) async throws {
        var generator = SystemRandomNumberGenerator()
        let kept = KeptLogin(
            attempt: AttemptID(using: &generator).rawValue, provider: definition.name, account: plan.account,
            name: plan.name, pool: plan.pool, tier: plan.tier, resumes: plan.resumes, nonce: nonce, response: response)
        // On disk before it is even parsed; what is no 2xx holds no tokens.
        if response.mayHoldTokens {
            do {
                try vault.keep(kept)
            } catch {
                Terminal.standardError("warning: the answer cannot be kept on disk (\(error)); storing it right away")
            }
        }
        do {
            let stored = try await LoginStoring(instance: instance, vault: vault, isJSON: plan.isJSON).store(
                kept, definition: definition, account: plan.account)
            await page?.finish(.success(stored.account))
        } catch {
            await page?.finish(.failure((error as? LoginError)?.description ?? "See the terminal."))
            throw error
        }
    }

    /// Stores what earlier log-ins have left, the earliest first.
    ///
    /// - Throws: ``CommandFailure`` where it is not clear which one is meant, and for the first that does not work; the others
    ///   are tried all the same.
    func storeUnfinished() async throws {
        let catalog = instance.configuration.providers
        let all = WaitingLogin.all(in: vault, catalog: catalog, provider: plan.provider)
        let chosen = try WaitingLogin.chosen(from: all, attempt: plan.attempt, account: plan.account)
        if chosen.isEmpty { Terminal.standardError("no log-in waits to be stored") }
        var failures: [any Error] = []
        for login in chosen {
            do {
                // Whoever cannot open it may have another key; without its provider nobody can read it.
                guard let kept = login.kept, let name = try? ProviderName(kept.provider),
                    let definition = catalog[name]
                else {
                    throw CommandFailure(
                        .local, "\(login.obstacle ?? ""); \(WaitingWords.discard(login.attempt))")
                }
                _ = try await LoginStoring(instance: instance, vault: vault, isJSON: plan.isJSON).store(
                    kept, definition: definition, account: plan.account)
            } catch {
                let words = (error as? LoginError)?.description ?? "\(error)"
                Terminal.standardError("log-in \(login.attempt): \(words)")
                failures.append((error as? LoginError).map { CommandFailure($0) } ?? error)
            }
        }
        let rest = all.count - chosen.count
        if rest > 0 { Terminal.standardError("note: \(rest) more \(rest == 1 ? "waits" : "wait") to be stored") }
        if let first = failures.first { throw first }
    }
}

/// What is said of log-ins in more than one place.
enum LoginWords {
    static func warnings(_ vault: LoginVault) -> [String] {
        let count = vault.attempts().count
        guard count > 0 else { return [] }
        return [
            "\(count) \(count == 1 ? "log-in was" : "log-ins were") received on this machine and not stored yet: "
                + "perennial login --unfinished stores \(count == 1 ? "it" : "them")"
        ]
    }
}

extension CommandFailure {
    init(_ error: LoginError) {
        let code: Code =
            switch error.code {
            case .unreachable, .refused, .malformed, .idToken, .noRefreshToken: .remote
            case .denied, .expired, .wrongState, .wrongIssuer: .local
            }
        self.init(code, error.description)
    }
}
