import Providers
import RefreshCore

/// What `providers test` prints: the request, the answer and how it was understood. Holds no secret.
struct ProviderReport {
    var provider: ProviderName
    /// Nil where a recorded answer is explained.
    var request: ProviderTrial.MaskedRequest?
    var answer: MaskedAnswer
    var explanation: AnswerExplanation

    func print(asJSON: Bool) throws {
        if asJSON { return try ProvidersCommand.print(Document(self)) }
        lines.forEach(Terminal.standardOutput)
    }

    var lines: [String] {
        var lines: [String] = []
        if let request {
            lines += ["request", "  \(request.method) \(request.url)"]
            lines += request.headers.map { "  \($0.name): \($0.value)" }
            if let body = request.body { lines += ["", "  \(body)"] }
            lines.append("")
        }
        lines += ["answer", "  HTTP \(answer.status), \(answer.bodyLength) bytes"]
        lines += answer.headers.map { "  \($0.name): \($0.value)" }
        if !answer.body.isEmpty { lines += ["", "  \(answer.body)"] }
        lines += ["", "how it is understood"]
        for step in explanation.steps {
            let meaning = step.meaning.map { " → \($0)" } ?? ""
            lines.append("  \(step.applies ? "yes" : "no ")  \(step.text)\(meaning): \(step.reason)")
        }
        lines += ["", "class: \(explanation.outcome)"]
        if !explanation.message.isEmpty { lines.append("message: \(explanation.message)") }
        return lines
    }

    private struct Document: Encodable {
        struct Header: Encodable {
            var name: String
            var value: String
        }

        struct Request: Encodable {
            var method: String
            var url: String
            var headers: [Header]
            var body: String?
        }

        struct Answer: Encodable {
            var status: Int
            var headers: [Header]
            var body: String
            var bytes: Int
        }

        struct Step: Encodable {
            var text: String
            var meaning: String?
            var applies: Bool
            var reason: String
        }

        var provider: String
        var request: Request?
        var answer: Answer
        var steps: [Step]
        var outcome: String
        var message: String

        enum CodingKeys: String, CodingKey {
            case provider, request, answer, steps, message
            case outcome = "class"
        }

        init(_ report: ProviderReport) {
            func headers(_ given: [RawTokenResponse.Header]) -> [Header] {
                given.map { Header(name: $0.name, value: $0.value) }
            }
            provider = report.provider.rawValue
            request = report.request.map {
                Request(method: $0.method, url: $0.url, headers: headers($0.headers), body: $0.body)
            }
            answer = Answer(
                status: report.answer.status, headers: headers(report.answer.headers), body: report.answer.body,
                bytes: report.answer.bodyLength)
            steps = report.explanation.steps.map {
                Step(text: $0.text, meaning: $0.meaning, applies: $0.applies, reason: $0.reason)
            }
            outcome = report.explanation.outcome
            message = report.explanation.message
        }
    }
}
