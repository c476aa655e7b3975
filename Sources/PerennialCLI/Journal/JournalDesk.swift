import Journal
import Logging
import Perennial
import PerennialConfiguration
import Providers
import RefreshCore

/// The journals of this machine's state directory and the providers' rules by which their entries are judged.
struct JournalDesk: Sendable {
    let directory: JournalDirectory
    let catalog: ProviderCatalog
    let now: WallTime

    init(directory: JournalDirectory, catalog: ProviderCatalog, now: WallTime) {
        self.directory = directory
        self.catalog = catalog
        self.now = now
    }

    /// - Throws: `SealingError` or `StartError` when the keys cannot be read.
    init(_ configuration: PerennialConfiguration) throws {
        let logger = LogSetup.logger(level: .error, format: configuration.logFormat)
        self.init(
            directory: try JournalDirectory(lookingInto: configuration, logger: logger),
            catalog: configuration.providers, now: MachineClock.now)
    }

    /// - Throws: `JournalError` when the directory or a journal cannot be read.
    func reports() throws -> [JournalReport] { try directory.survey() }

    func findings() throws -> [JournalFinding] {
        try reports().flatMap { $0.findings(catalog: catalog, now: now) }
    }

    /// - Throws: ``CommandFailure`` where no journal here has the attempt.
    func find(_ attempt: AttemptID) throws -> (finding: JournalFinding, entry: JournalEntry?) {
        for report in try reports() {
            for item in report.items where item.attempt == attempt {
                let finding = JournalFinding(item, in: report, catalog: catalog, now: now)
                if case .entry(let entry) = item { return (finding, entry) }
                return (finding, nil)
            }
        }
        throw Self.missing(attempt)
    }

    /// Forgets an entry; returns whose journal it was in.
    ///
    /// - Throws: ``CommandFailure`` where no journal here has the attempt, or a running instance holds it.
    func drop(_ attempt: AttemptID) throws -> String {
        switch try directory.drop(attempt) {
        case .dropped(let instance): return instance
        case .held(let instance):
            throw CommandFailure(
                .local,
                "instance \(instance) is running and looks after this entry: stop it first, only then can the entry be "
                    + "dropped")
        case .missing: throw Self.missing(attempt)
        }
    }

    static func missing(_ attempt: AttemptID) -> CommandFailure {
        CommandFailure(.local, "no journal here has an entry of attempt \(attempt): see perennial journal list")
    }
}
