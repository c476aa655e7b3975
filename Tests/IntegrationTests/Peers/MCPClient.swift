import PerennialServers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `mcp_client.py`: the client of the package mcp, which nobody of Perennial wrote.
struct MCPClient: Sendable {
    struct Greeting: Sendable, Decodable {
        var version: String
        var server: String
        var tools: [String]
    }

    struct Answer: Sendable, Decodable {
        var error: Bool
        var text: String
        /// JSON, as text.
        var structured: String
    }

    struct Call: Sendable, Encodable {
        var tool: String
        var arguments: [String: Argument]

        enum Argument: Sendable, Encodable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
            case text(String)
            case number(Int)

            init(stringLiteral value: String) { self = .text(value) }
            init(integerLiteral value: Int) { self = .number(value) }

            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                switch self {
                case .text(let text): try container.encode(text)
                case .number(let number): try container.encode(number)
                }
            }
        }
    }

    var greeting: Greeting
    var answers: [Answer]

    /// Connects, makes the calls one after the other and leaves.
    ///
    /// - Parameter options: of the program: where the server is.
    static func run(_ workshop: Workshop, _ calls: [Call], options: [String]) async throws -> MCPClient {
        let input = workshop.path("calls-\(UInt32.random(in: .min ... .max)).jsonl")
        let lines = try calls.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) + "\n" }
        try TextFile.write(lines.joined(), to: input)
        let command = ([try PythonPeer.interpreter(), PythonPeer.program("mcp_client.py")] + options)
            .map { "'\($0)'" }.joined(separator: " ")
        let output = try await workshop.run(
            "mcp-client", "/bin/sh", ["-c", "exec \(command) < '\(input)'"], timeout: .seconds(120))
        let results = output.split(separator: "\n").filter { $0.hasPrefix("{") }.map { Data($0.utf8) }
        guard let first = results.first, results.count == calls.count + 1 else {
            throw ServerFailure("the client printed \(results.count) lines:\n\(output.suffix(2000))")
        }
        return MCPClient(
            greeting: try JSONDecoder().decode(Greeting.self, from: first),
            answers: try results.dropFirst().map { try JSONDecoder().decode(Answer.self, from: $0) })
    }
}
