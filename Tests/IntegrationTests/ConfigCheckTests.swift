import PerennialServers
import Testing

/// `perennial config check` as an operator meets it.
@Suite(.timeLimit(.minutes(1)))
struct ConfigCheckTests {
    @Test func eachMistakeInADefinitionIsNamedWithItsLineAndWhatToWriteInstead() async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary) { workshop in
            let file = workshop.path("wrong.yaml")
            let common = "token_url: https://h.example/t, client_id: c"
            try TextFile.write(
                """
                providers:
                  field: { \(common), widnow: 5m }
                  rule:
                    token_url: https://h.example/t
                    client_id: c
                    errors:
                      token:
                        - { status: 4xx, class: throttled }
                        - { status: 400, class: refused }
                  template: { \(common), headers: { X-A: "{{ vars.kye }}" }, vars: { key: hunter } }
                  pointer: { \(common), response: { access_token: data/token } }
                  client: { preset: claude }

                """, to: file)
            let process = try await workshop.start("check", binary, ["config", "check", "--config", file])
            try await process.waitUntilEnded(timeout: .seconds(30))
            #expect(await process.exitCode == 1)
            let lines = process.log.split(separator: "\n")
            for (line, words) in [
                (2, "widnow: unknown key; did you mean window?"),
                (9, "errors.token[1]: is never reached: providers.rule.errors.token[0]"),
                (10, "{{ vars.kye }} names nothing: did you mean vars.key?"),
                (11, "can never match: a JSON pointer begins with /; write /access_token"),
                (12, "client_id: write client_id: ID"),
            ] {
                #expect(
                    lines.contains { $0.contains("wrong.yaml:\(line):") && $0.contains(words) }, "\(words): \(lines)")
            }
            #expect(!process.log.contains("hunter"))
        }
    }
}
