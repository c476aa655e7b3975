import PerennialServers
import CurlClient
import FoundationEssentials
import RefreshCore

/// Read tokens from all instances all the time, and present each at the provider's API.
struct TokenReaders: Sendable {
    let site: ChaosSite
    let tally: ReadTally
    /// Of their own, so that a read that hangs holds nobody up.
    let http: CurlClient
    /// How long a reader waits for an answer.
    static let patience = Duration.seconds(10)
    private static let readers = 40

    /// Reads until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            let pause = Duration.milliseconds(Int64(Self.readers * 1000 / max(1, site.plan.rate)))
            for number in 0..<Self.readers {
                group.addTask {
                    var dice = SplitMix64(seed: site.plan.seed &* 1000 &+ UInt64(number))
                    try? await Task.sleep(for: pause * number / Self.readers)
                    while !Task.isCancelled {
                        let next = ContinuousClock.now + pause
                        if let account = site.accounts.randomElement(using: &dice),
                            let instance = site.instances.randomElement(using: &dice)
                        {
                            await read(account, from: instance)
                        }
                        try? await Task.sleep(until: next, clock: .continuous)
                    }
                }
            }
        }
    }

    private func read(_ account: ChaosAccount, from instance: ChaosInstance) async {
        let sentAt = Wall.now()
        let answer = try? await http.execute(
            CurlRequest(
                url: "\(instance.origin)/v1/accounts/\(account.id)/token", connectTimeout: .seconds(1),
                totalTimeout: Self.patience))
        let took = Wall.now() - sentAt
        guard let answer, answer.status == 200,
            let token = try? JSONDecoder().decode(ServedToken.self, from: Data(answer.body))
        else {
            if !Task.isCancelled { tally.failed(answer?.status) }
            return
        }
        tally.served(token, account: account.id, by: instance.number, sentAt: sentAt, took: took)
        tally.presented(await present(token.accessToken, of: account), account: account.id)
    }

    /// Nil when an instance gives a token for it that the provider takes, else what was answered; asked at rest, so
    /// each has a few tries.
    func fault(of account: ChaosAccount) async -> String? {
        var last = "no answer"
        for attempt in 0..<6 {
            let instance = site.instances[attempt % site.instances.count]
            let answer = try? await http.execute(
                CurlRequest(url: "\(instance.origin)/v1/accounts/\(account.id)/token", totalTimeout: Self.patience))
            if let answer {
                last = "answered \(answer.status)"
                if answer.status == 200,
                    let token = try? JSONDecoder().decode(ServedToken.self, from: Data(answer.body))
                {
                    switch await present(token.accessToken, of: account) {
                    case .taken: return nil
                    case .expired: last = "an expired token is served"
                    case .revoked: last = "a revoked token is served"
                    case .foreign, .unknown: last = "a token is served that the provider does not know"
                    }
                }
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
        return last
    }

    /// Asks the provider's API, not over the wires that are being harmed.
    func present(_ token: String, of account: ChaosAccount) async -> ReadTally.Presentation {
        struct Owner: Decodable { var account: String }
        let answer = try? await http.execute(
            CurlRequest(
                url: site.providers[account.provider].mock.resourceURL,
                headers: [("Authorization", "Bearer \(token)")], totalTimeout: .seconds(5)))
        guard let answer else { return .unknown }
        if answer.status == 200 {
            guard let owner = try? JSONDecoder().decode(Owner.self, from: Data(answer.body)) else { return .unknown }
            return owner.account == account.id ? .taken : .foreign(owner.account)
        }
        guard answer.status == 401 else { return .unknown }
        return answer.first("WWW-Authenticate")?.contains("expired") == true ? .expired : .revoked
    }
}
