import ArgumentParser
import Perennial
import PerennialAPI
import RedisStore
import RefreshCore

/// `perennial accounts import`
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Import accounts from JSON lines, CSV or TSV.",
        discussion: """
            Fields: id, provider, refresh_token, access_token, expires_at (RFC 3339 or epoch seconds), name, \
            pool, tier, labels (an object, or key=value; key=value), proxy (a URL with its credentials, or direct). CSV \
            and TSV need a header. An account that exists already keeps its credentials unless the line's expires_at is later, \
            or --overwrite is given. If any line is bad nothing is imported, unless --skip-bad is given.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The file; - for stdin.")
    var path: String

    @Option(help: "jsonl, csv or tsv. Default: by the file's name and content.")
    var format: String?

    @Flag(help: "Import the good lines even if others are bad.")
    var skipBad = false

    @Flag(help: "Replace the credentials of accounts that exist, whatever is newer.")
    var overwrite = false

    @Flag(help: "Take refresh tokens even if their provider has refused them before, or another account has them.")
    var force = false

    struct Summary: Sendable {
        var added = 0
        var replaced = 0
        var kept = 0
        var bad = 0
        /// Refresh tokens that were not taken in: refused before, or those of another account.
        var turnedAway: [BadLine] = []
    }

    /// Puts under way at once: enough to fill the pipeline to Redis.
    private static let concurrency = 64
    private static let largestFile = 1 << 30

    func run() async throws {
        let bytes = try Terminal.read(path, limit: Self.largestFile)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure(.local, "\(path) is not UTF-8")
        }
        let chosen: ImportReader.Format
        if let format {
            guard let known = ImportReader.Format(rawValue: format) else {
                throw ValidationError("--format is one of jsonl, csv, tsv")
            }
            chosen = known
        } else {
            chosen = ImportReader.format(path: path, text: text)
        }
        let (records, badLines) = try ImportReader.read(text, format: chosen)
        let (skipBad, rule, isJSON) = (skipBad, overwrite ? OverwriteRule.always : .ifNewer, output.json)
        let isForced = force
        try await options.withStore { instance in
            let (puts, bad) = Self.admit(
                records, badLines, intake: instance.intake, rule: rule, isForced: isForced, now: instance.time.wall())
            for line in bad.prefix(50) { Terminal.standardError("line \(line.line): \(line.reason)") }
            if bad.count > 50 { Terminal.standardError("… and \(bad.count - 50) more bad lines") }
            guard bad.isEmpty || skipBad else {
                throw CommandFailure(
                    .local,
                    "\(bad.count) of \(records.count + badLines.count) lines are bad; nothing was imported. "
                        + "Mend them, or import the rest with --skip-bad.")
            }
            var summary = try await Self.store(puts, instance.directory)
            summary.bad = bad.count
            let away = summary.turnedAway.sorted { $0.line < $1.line }
            for line in away.prefix(50) { Terminal.standardError("line \(line.line): \(line.reason)") }
            if away.count > 50 { Terminal.standardError("… and \(away.count - 50) more refresh tokens turned away") }
            if isJSON {
                Terminal.standardOutput(
                    "{\"added\":\(summary.added),\"replaced\":\(summary.replaced),\"kept\":\(summary.kept),"
                        + "\"bad\":\(summary.bad),\"turned_away\":\(away.count)}")
            } else {
                Terminal.standardOutput(
                    "Imported: \(summary.added) added, \(summary.replaced) replaced, \(summary.kept) kept as they were, \(summary.bad) bad lines skipped"
                )
            }
            guard away.isEmpty else {
                throw CommandFailure(
                    .reauthRequired, "\(away.count) refresh tokens were turned away; --force takes them all the same")
            }
        }
    }

    static func admit(
        _ records: [ImportRecord], _ badLines: [BadLine], intake: AccountIntake, rule: OverwriteRule,
        isForced: Bool = false, now: WallTime
    ) -> (puts: [(line: Int, put: AccountPut)], bad: [BadLine]) {
        var puts: [(line: Int, put: AccountPut)] = []
        var bad = badLines
        var lines: [AccountID: Int] = [:]
        var tokens: [ProviderName: [Secret: Int]] = [:]
        for record in records {
            if let earlier = lines.updateValue(record.line, forKey: record.id) {
                bad.append(BadLine(line: record.line, reason: "account \(record.id) stands on line \(earlier) already"))
                continue
            }
            do {
                let put = try intake.admit(
                    id: record.id, provider: record.provider, name: record.name, credentials: record.credentials,
                    overwrite: rule, traits: record.traits, isForced: isForced, now: now)
                let token = put.credentials.refreshToken
                if !put.mayShareToken, !isForced,
                    let earlier = tokens[put.provider, default: [:]].updateValue(record.line, forKey: token)
                {
                    bad.append(
                        BadLine(
                            line: record.line,
                            reason: "line \(earlier) has the same refresh token: log in once for each"))
                    continue
                }
                puts.append((record.line, put))
            } catch {
                bad.append(BadLine(line: record.line, reason: error.description))
            }
        }
        return (puts, bad.sorted { $0.line < $1.line })
    }

    private static func store(
        _ puts: [(line: Int, put: AccountPut)], _ directory: any AccountDirectory
    ) async throws -> Summary {
        var summary = Summary()
        var progress = ImportProgress(total: puts.count)
        var next = 0
        try await withThrowingTaskGroup(of: (line: Int, put: AccountPut, reply: PutReply).self) { group in
            func startNext() {
                guard next < puts.count else { return }
                let (line, put) = puts[next]
                next += 1
                group.addTask {
                    let reply = try await directory.put(put)
                    if case .otherProvider(let provider) = reply {
                        throw CommandFailure(
                            .local, "line \(line): account \(put.id) exists at provider \(provider): remove it first")
                    }
                    return (line, put, reply)
                }
            }
            for _ in 0..<concurrency { startNext() }
            do {
                while let (line, put, reply) = try await group.next() {
                    if let reason = reply.reasonAgainstToken(of: put) {
                        summary.turnedAway.append(BadLine(line: line, reason: "account \(put.id): \(reason)"))
                    }
                    switch reply {
                    case .created: summary.added += 1
                    case .replaced: summary.replaced += 1
                    case .refusedBefore, .tokenInUse: break
                    default: summary.kept += 1
                    }
                    progress.advance()
                    startNext()
                }
            } catch {
                progress.end()
                Terminal.standardError(
                    "stopped after \(summary.added + summary.replaced + summary.kept) of \(puts.count) accounts; "
                        + "importing the same file again goes on from there")
                throw error
            }
        }
        progress.end()
        return summary
    }
}

/// A line on stderr that moves: in place on a terminal, else every few seconds.
struct ImportProgress {
    private let total: Int
    private var done = 0
    private var shownAt = ContinuousClock.now
    private let isTerminal = Terminal.isErrorTerminal
    private var hasShown = false

    init(total: Int) {
        self.total = total
    }

    mutating func advance() {
        done += 1
        let pause: Duration = isTerminal ? .milliseconds(100) : .seconds(5)
        guard ContinuousClock.now - shownAt >= pause else { return }
        shownAt = ContinuousClock.now
        hasShown = true
        let text = "importing \(done) of \(total) (\(total > 0 ? done * 100 / total : 100) %)"
        if isTerminal { Terminal.write(Array("\r\(text)\u{1b}[K".utf8), to: 2) } else { Terminal.standardError(text) }
    }

    mutating func end() {
        if isTerminal, hasShown { Terminal.write(Array("\r\u{1b}[K".utf8), to: 2) }
    }
}
