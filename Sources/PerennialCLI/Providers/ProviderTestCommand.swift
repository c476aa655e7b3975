import ArgumentParser
import CurlClient
import PerennialConfiguration
import Providers
import RefreshCore

/// `perennial providers test NAME`
struct ProviderTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Send one request to a provider, and explain how its answer is understood.",
        discussion: """
            The request carries a refresh token that no provider has issued, never that of an account. Where accounts \
            have fields instead, they are asked for or read from stdin (--field), and the answer may hold real tokens, \
            which are neither shown nor kept. With --answer nothing is sent: a recorded answer is explained.

            Exit codes: 0 the answer holds tokens or refuses the token, as it should; 4 it is classed as anything else; \
            2 there was no answer.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var fields: FieldOptions

    @Argument(help: "A provider of the configuration.")
    var provider: ProviderName

    @Option(help: "File with the body of an answer to explain instead of sending anything; - for stdin.")
    var answer: String?

    @Option(help: "The HTTP status of that answer. Default: 200.")
    var status: Int?

    @Option(name: .customLong("header"), help: "A header of that answer, as \"Retry-After: 30\".")
    var headers: [String] = []

    func validate() throws {
        if answer == nil, status != nil || !headers.isEmpty {
            throw ValidationError("--status and --header belong to --answer")
        }
        if let status, !(100...599).contains(status) { throw ValidationError("--status is from 100 to 599") }
    }

    /// Larger than what is read of an answer, so that an overlong one can be explained too.
    private static let largestAnswer = 16 << 20

    func run() async throws {
        let definition = try ProvidersCommand.find(provider, in: try options.load().providers)
        let now = MachineClock.now
        guard let answer else { return try await exchange(definition, now: now) }
        let response = RawTokenResponse(
            status: status ?? 200, headers: try headers.map(Self.header),
            body: try Terminal.read(answer, limit: Self.largestAnswer), requestedAt: now)
        let report = ProviderReport(
            provider: definition.name, request: nil, answer: definition.masked(response),
            explanation: definition.explain(response))
        try report.print(asJSON: output.json)
        try Self.exit(for: report.explanation)
    }

    private static func header(_ text: String) throws -> RawTokenResponse.Header {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, !parts[0].isEmpty else { throw ValidationError("--header is written \"NAME: VALUE\"") }
        return RawTokenResponse.Header(
            name: String(parts[0]), value: String(parts[1].drop { $0 == " " || $0 == "\t" }))
    }

    private func credential(_ definition: ProviderDefinition) throws -> AccountCredential {
        guard let wanted = definition.accountFields else {
            guard fields.isEmpty else {
                throw ValidationError("accounts of \(provider) have a refresh token: leave --field out")
            }
            return .refreshToken(ProviderTrial.invalidToken)
        }
        let given = fields.names + fields.files.map { String($0.prefix { $0 != "=" }) }
        guard Set(given) == Set(wanted), given.count == wanted.count else {
            let what = wanted.map { "--field \($0)" }.joined(separator: " ")
            throw ValidationError(
                wanted.isEmpty ? "accounts of \(provider) have no fields: leave --field out" : "give \(what)")
        }
        return .fields(try fields.read())
    }

    private func exchange(_ definition: ProviderDefinition, now: WallTime) async throws {
        let trial = ProviderTrial(definition, try credential(definition), moment: now)
        let curl = CurlClient()
        let request: ProviderTrial.MaskedRequest
        let result: ExchangeResult
        do {
            request = try trial.maskedRequest()
            result = try await trial.send(over: curl)
        } catch {
            await curl.shutdown()
            throw CommandFailure(.local, "the request cannot be made: \(error)")
        }
        await curl.shutdown()
        switch result {
        case .unsent(let reason), .unreachable(let reason):
            throw CommandFailure(.remote, "nothing was sent: \(reason)")
        case .unanswered(let reason): throw CommandFailure(.remote, "the request was sent and not answered: \(reason)")
        case .answered(let response):
            let report = ProviderReport(
                provider: definition.name, request: request, answer: trial.masked(response),
                explanation: definition.explain(response))
            try report.print(asJSON: output.json)
            try Self.exit(for: report.explanation)
        }
    }

    private static func exit(for explanation: AnswerExplanation) throws {
        guard ["rotated", "refused"].contains(explanation.outcome) else {
            throw ExitCode(CommandFailure.Code.degraded.rawValue)
        }
    }
}
