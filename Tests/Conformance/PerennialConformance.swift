import ArgumentParser
import PerennialServers

/// Perennial against a double of each provider: `PerennialConformance --only claude,pixiv`.
@main
struct PerennialConformance: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "PerennialConformance",
        abstract: "Tries every preset against a double of its provider, and prints a table.",
        discussion: """
            Starts a Redis, two instances of Perennial and the doubles, which answer as the providers are known to \
            answer: field names, status codes, error bodies, rotation. What has come of each trial is judged by what \
            the double saw and by what Redis and the API of the instances say. The exit code is 1 when a cell is red; \
            then the files are kept.
            """)

    @Option(
        help: ArgumentHelp(
            "Only these rows, separated by commas; `oauth2` takes its variations along.", valueName: "rows"))
    var only: String?

    @Option(help: "The perennial binary. Default: the one beside this program.")
    var perennial: String?

    @Flag(help: "Print the table as JSON.")
    var json = false

    @Flag(help: "Keep logs and data even when all is well.")
    var keep = false

    static func main() async {
        ProcessPreparation.run()
        await main(nil)
    }

    func run() async throws {
        let rows = try chosen(from: TableRow.all(try AssertionKeys()))
        let binary = try PerennialBinary.locate(perennial)
        let report = try await Run(rows: rows, keepsFiles: keep, narrator: Narrator()).perform(perennial: binary)
        print(json ? try report.json() : report.text)
        if !report.passed { throw ExitCode(1) }
    }

    private func chosen(from rows: [TableRow]) throws -> [TableRow] {
        guard let only else { return rows }
        let names = only.split(separator: ",").map(String.init)
        for name in names where !rows.contains(where: { $0.name == name || $0.variationOf == name }) {
            let known = rows.filter { $0.variationOf == nil }.map(\.name).joined(separator: ", ")
            throw ValidationError("--only: there is no row '\(name)': use \(known)")
        }
        guard !names.isEmpty else { throw ValidationError("--only names no row") }
        return rows.filter { row in names.contains(row.name) || names.contains(row.variationOf ?? "") }
    }
}
