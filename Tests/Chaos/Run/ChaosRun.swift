import CurlClient
import MockProvider
import PerennialServers

/// One run from the first process to the verdict.
struct ChaosRun: Sendable {
    let plan: ChaosPlan
    let site: ChaosSite
    let narrator: Narrator
    private let timeline = Timeline()
    private let tally = ReadTally()
    /// How long an account may take to come to rest, besides the life of a token.
    private static let patience = Duration.seconds(60)

    /// - Parameter keepsFiles: even when all is well.
    static func perform(_ plan: ChaosPlan, perennial: String, keepsFiles: Bool) async throws -> ChaosReport {
        let narrator = Narrator()
        return try await Workshop.with(perennial: perennial, prefix: "prn-chaos") { workshop in
            if keepsFiles { await workshop.keepFiles() }
            narrator.say("starting \(plan.instances) instances, Redis (\(plan.topology.rawValue)), providers")
            let site = try await ChaosSite.open(plan, workshop: workshop)
            do {
                var report = try await ChaosRun(plan: plan, site: site, narrator: narrator).run()
                await site.close()
                if !report.violations.isEmpty { await workshop.keepFiles() }
                if keepsFiles || !report.violations.isEmpty { report.files = workshop.directory }
                return report
            } catch {
                await site.close()
                await workshop.keepFiles()
                narrator.write("the files are in \(workshop.directory)")
                throw error
            }
        }
    }

    private func run() async throws -> ChaosReport {
        try await site.start()
        let startedAt = Wall.now()
        let schedule = FaultSchedule.make(plan)
        narrator.say("\(plan.accounts) accounts, \(schedule.count) faults to come (seed \(plan.seed))")
        let http = CurlClient()
        let readers = TokenReaders(site: site, tally: tally, http: http)
        let reading = Task { await readers.run() }
        let watch = InstanceWatch(site.instances)
        let watching = Task { await watch.run() }
        do {
            await FaultInjector(site: site, timeline: timeline, narrator: narrator).run(schedule)
            narrator.say("no more faults: all is made well")
            try await site.heal()
            let fleet = try await settle(http)
            reading.cancel()
            await reading.value
            watching.cancel()
            await watching.value
            let verdict = try await judge(fleet, readers, watch: watch)
            await http.shutdown()
            return report(verdict, startedAt: startedAt, schedule: schedule)
        } catch {
            reading.cancel()
            watching.cancel()
            await reading.value
            await http.shutdown()
            throw error
        }
    }

    /// Waits until each account has been seen at rest, or lost, at least once after the life of a token: then each has
    /// been refreshed since. One that is being refreshed at a moment is not at rest at that moment.
    private func settle(_ http: CurlClient) async throws -> FleetState {
        let start = ContinuousClock.now
        var seen: [String: FleetState.Account] = [:]
        while true {
            let waited = ContinuousClock.now - start
            let isOver = waited > plan.lifetime + Self.patience
            do {
                let fleet = try await FleetState.read(from: site.instances[0], http)
                if waited > plan.lifetime {
                    for account in fleet.accounts where seen[account.id]?.isSettled != true {
                        seen[account.id] = account
                    }
                    let open = fleet.accounts.count { seen[$0.id]?.isSettled != true }
                    if isOver, open > 0 { narrator.say("\(open) accounts have not come to rest") }
                    if open == 0 || isOver { return FleetState(accounts: fleet.accounts.compactMap { seen[$0.id] }) }
                }
            } catch {
                if isOver { throw error }
            }
            try await Task.sleep(for: .milliseconds(500))
        }
    }

    // MARK: judging

    private func judge(
        _ fleet: FleetState, _ readers: TokenReaders, watch: InstanceWatch
    ) async throws -> Verdict {
        narrator.say("reading each account once more")
        let unusable = await unusableAccounts(readers)
        let hasLeader = try await hasLeader()
        var ends = watch.ends
        for instance in site.instances {
            if let end = await instance.stop(patience: .seconds(60)) { ends.append(end) }
        }
        let leftovers = try await Leftovers.find(site)
        var ledgers: [MockLedger] = []
        for provider in site.providers { ledgers.append(try await provider.mock.ledger()) }
        for (provider, ledger) in zip(site.providers, ledgers) {
            // For whoever looks into a loss; goes with the workshop.
            let lines = ledger.uses.map { "\($0.at.milliseconds) \($0.account ?? "?") \($0.fingerprint) \($0.outcome)" }
            try TextFile.write(
                lines.joined(separator: "\n") + "\n", to: site.workshop.path("ledger-\(provider.name).txt"))
        }
        for provider in site.providers {
            let lines = provider.log.exchanges.map {
                "\($0.sentAt) \(provider.name)-\($0.family + 1) \($0.token) by \($0.instance), answered "
                    + "\($0.answeredAt.map { "\($0)" } ?? "-"), ended \($0.endedAt.map { "\($0)" } ?? "-")"
            }
            try TextFile.write(
                lines.joined(separator: "\n") + "\n", to: site.workshop.path("wire-\(provider.name).txt"))
        }
        let faults = timeline.entries.map {
            "\($0.from) to \($0.to.map { "\($0)" } ?? "-"): \($0.kind.rawValue) \($0.target)"
        }
        try TextFile.write(faults.joined(separator: "\n") + "\n", to: site.workshop.path("faults.txt"))
        let log = LogScan(files: site.instances.map(\.logPath))
        let audit = SpendAudit(ledgers: ledgers, log: log)
        let finder = LossFinder(
            rotations: plan.rotations, wires: site.providers.map(\.log.exchanges), timeline: timeline.entries,
            recoveries: log.recoveries)
        let losses = unusable.map { finder.find($0.account, uses: audit.byAccount[$0.account.id] ?? [], now: $0.fault) }
        return Verdict(
            fleet: fleet, expectedAccounts: plan.accounts, losses: losses, audit: audit, ledgers: ledgers.map(\.totals),
            leftovers: leftovers, log: log, reads: tally.counts, incidents: tally.incidents, ends: ends,
            hasLeader: hasLeader)
    }

    /// Whether somebody leads; one who takes over just now has a while.
    private func hasLeader() async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while await site.leader() == nil {
            guard ContinuousClock.now < deadline else { return false }
            try await Task.sleep(for: .milliseconds(200))
        }
        return true
    }

    private struct Unusable: Sendable {
        var account: ChaosAccount
        /// What a reader gets.
        var fault: String
    }

    /// The accounts that no instance gives a token for which the provider takes.
    private func unusableAccounts(_ readers: TokenReaders) async -> [Unusable] {
        await withTaskGroup(of: Unusable?.self) { group in
            var rest = site.accounts[...]
            var found: [Unusable] = []
            func next() {
                guard let account = rest.popFirst() else { return }
                group.addTask { await readers.fault(of: account).map { Unusable(account: account, fault: $0) } }
            }
            for _ in 0..<16 { next() }
            while let unusable = await group.next() {
                if let unusable { found.append(unusable) }
                next()
            }
            return found.sorted { $0.account.id < $1.account.id }
        }
    }

    private func report(_ verdict: Verdict, startedAt: Int64, schedule: [ScheduledFault]) -> ChaosReport {
        ChaosReport(
            plan: plan, verdict: verdict, timeline: timeline.entries, startedAt: startedAt,
            took: Wall.now() - startedAt)
    }
}
