import CurlClient
import Logging
import MockProvider

/// One demo from its preparations to its verdict.
struct DemoRun: Sendable {
    let plan: DemoPlan
    let environment: [String: String]
    let keepsFiles: Bool
    let display: DemoDisplay

    private enum Ending: Sendable {
        case verdict(DemoVerdict)
        case interrupted
    }

    /// - Throws: ``CommandFailure`` or ``ProcessError`` if it could not be run, and when it was interrupted. Everything
    ///   that was started has been stopped then.
    func run() async throws -> DemoVerdict {
        try await withThrowingTaskGroup(of: Ending.self) { group in
            group.addTask { .verdict(try await perform()) }
            group.addTask {
                for await _ in SignalStream() { break }
                try Task.checkCancellation()
                return .interrupted
            }
            guard case .verdict(let verdict) = try await group.next() else {
                display.settle()
                display.say("Interrupted: stopping everything that was started")
                group.cancelAll()
                while await group.nextResult() != nil {}
                throw CommandFailure(.local, "interrupted before there was a verdict")
            }
            group.cancelAll()
            return verdict
        }
    }

    private func perform() async throws -> DemoVerdict {
        let site = try DemoSite(plan: plan, environment: environment, keepsFiles: keepsFiles)
        // What an instance asks of the provider while it stops has to be answered, so the provider goes last.
        let provider = MockProviderServer(
            configuration: MockProviderConfiguration(
                rotation: .grace(plan.grace), reuseDetection: true, accessTokenLifetime: plan.lifetime,
                latency: plan.providerLatency, clientID: "demo"),
            logger: Logger(label: "mock-provider") { _ in SwiftLogNoOpLogHandler() })
        return try await withThrowingTaskGroup(of: DemoVerdict?.self) { group in
            group.addTask {
                try await provider.run()
                return nil
            }
            group.addTask {
                let client = CurlClient()
                do {
                    let verdict = try await perform(at: site, provider: provider, client: client)
                    await site.close()
                    return verdict
                } catch {
                    await client.shutdown()
                    await site.close()
                    throw error
                }
            }
            while let verdict = try await group.next() {
                guard let verdict else { continue }
                group.cancelAll()
                if keepsFiles { display.say("Logs, configuration and data are kept in \(site.path)") }
                return verdict
            }
            throw CommandFailure(.local, "the mock provider has stopped")
        }
    }

    // MARK: Preparations

    private func perform(
        at site: DemoSite, provider: MockProviderServer, client: CurlClient
    ) async throws -> DemoVerdict {
        let port = try await provider.waitUntilListening()
        let providerURL = "http://127.0.0.1:\(port)"
        display.say("Mock provider at \(providerURL): single-use refresh tokens with reuse detection")

        try await site.startRedis()
        display.say("Private redis-server in \(site.path)")

        try await site.configure(tokenURL: "\(providerURL)/oauth2/token")
        let instances = try await site.startInstances()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for instance in instances {
                group.addTask {
                    try await site.waitForInstance(instance) { await FleetWatch.isReady(instance, client: client) }
                }
            }
            try await group.waitForAll()
        }
        let pids = instances.map { "\($0.process.pid)" }.joined(separator: ", ")
        display.say("\(instances.count == 1 ? "1 instance is" : "\(instances.count) instances are") ready: pid \(pids)")

        var accounts: [MockAccount] = []
        for index in 0..<plan.accounts {
            accounts += provider.seedAccounts(
                count: 1, first: index + 1, lifetime: plan.firstLifetime(account: index))
        }
        try await site.importAccounts(AccountLines.text(accounts, provider: "demo"))
        display.say("\(accounts.count == 1 ? "1 account" : "\(accounts.count) accounts") imported")

        let watch = FleetWatch(instances, client: client)
        let load = ReadLoad(
            client: client, accounts: accounts.map(\.id), instances: instances.map(\.url),
            resource: "\(providerURL)/resource", rate: plan.readsPerSecond)
        let stage = DemoStage(
            plan: plan, accounts: accounts.map(\.id), provider: provider, watch: watch, load: load, display: display)
        var verdict = try await stage.play()

        display.settle()
        display.say("Stopping")
        // Idle connections of the load would otherwise be open while the instances stop.
        await client.shutdown()
        verdict.incidents = watch.incidents + (await site.stopInstances(besides: watch.killed))
        verdict.spends = SpendAudit(provider.ledger(), loggedRecoveries: await site.loggedRecoveries())
        return verdict
    }
}
