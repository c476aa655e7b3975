import Testing

@testable import Providers

struct TextPatternTests {
    @Test(arguments: [
        ("invalid_(grant|token)", "error: INVALID_TOKEN", true), ("^a+$", "aaa", true), ("^a+$", "aab", false),
        ("[0-9]{3}", "ab123", true), ("é", "caf\u{e9}", true), ("a\u{0}b", "x", nil), ("(", "x", nil),
        ("a{2", "x", nil),
        ("[z-a]", "x", nil), ("\\d+", "1", nil), ("(?i)x", "x", nil), ("(a)\\1", "aa", nil), ("\\\\d", "\\d", true),
    ]) func extendedExpressions(pattern: String, text: String, expected: Bool?) {
        let read = try? TextPattern(pattern)
        #expect((read == nil) == (expected == nil))
        #expect(read?.matches(text.utf8) == expected)
    }

    @Test func whatIsWrongIsSaid() {
        func reason(_ pattern: String) -> String {
            do {
                _ = try TextPattern(pattern)
                return ""
            } catch {
                return error.description
            }
        }
        #expect(reason("(").hasPrefix("is not a regular expression: "))
        #expect(reason("\\d") == "has \\d, which POSIX regular expressions do not: write [0-9]")
        #expect(reason("(x)\\1").contains("back reference"))
    }

    @Test func bytesOfAnyKindAreSearched() throws {
        let pattern = try TextPattern("needle")
        #expect(pattern.matches([0xFF, 0x00] + Array("needle".utf8) + [0x00]))
        #expect(!pattern.matches([UInt8](repeating: 0, count: 100_000) + Array("needle".utf8)))
    }

    /// A backtracking engine would take longer than the age of the universe for this.
    @Test(.timeLimit(.minutes(10))) func noAnswerMakesItSlow() throws {
        let pattern = try TextPattern("^(a+)+(a|aa)+$")
        #expect(!pattern.matches([UInt8](repeating: UInt8(ascii: "a"), count: 60_000) + [UInt8(ascii: "b")]))
    }
}
