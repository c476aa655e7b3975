import ConfigurationFile
import Testing

struct ConfigurationValueTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("20s", .seconds(20)), ("5m", .seconds(300)), ("1h", .seconds(3600)),
        ("2d", .seconds(172_800)), ("1.5s", .milliseconds(1500)), ("0s", .zero), ("0.25h", .seconds(900)),
    ])
    func `durations are read`(text: String, expected: Duration) {
        #expect(DurationText.parse(text) == expected)
        #expect(DurationText.parse(DurationText.format(expected)) == expected)
    }

    @Test(arguments: [
        "", "s", "6x", "60", "-5s", "+5s", "5 s", "5s ", "1h30m", "1.5ms", "1.s", ".5s", "1.2345s", "12345678901s",
        "１s",
        "0x1s", "1e3s", "NaNs",
    ])
    func `what is no duration is not read`(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    enum Colour: String, CaseIterable { case red, green }

    private func read(_ section: ConfigurationSection) {
        _ = (section.string("name"), section.bool("flag"), section.int("count", in: 1...9))
        _ = (section.duration("skew", in: .zero ... .seconds(60)), section.choice("colour", of: Colour.self))
        _ = (section.strings("list"), section.oneOrMany("many"), section.texts("texts"))
        _ = section.section("inner") { $0.string("key", secret: true) }
    }

    @Test(arguments: [
        ("name: [a]", "t.yaml:1:7: name: has to be a single value, not a list"),
        ("name: { a: b }", "t.yaml:1:7: name: has to be a single value, not a mapping"),
        ("name:", "t.yaml:1:6: name: has no value"),
        ("name: ~", "t.yaml:1:7: name: has no value"),
        ("name: ''", "t.yaml:1:7: name: is empty"),
        ("name: \"a\\0b\"", "t.yaml:1:7: name: holds a NUL character"),
        ("flag: maybe", "t.yaml:1:7: flag: \"maybe\" is not true or false"),
        ("count: 10", "t.yaml:1:8: count: \"10\" is not a whole number from 1 to 9"),
        (
            "count: 99999999999999999999",
            "t.yaml:1:8: count: \"99999999999999999999\" is not a whole number from 1 to 9"
        ),
        ("count: 1.5", "t.yaml:1:8: count: \"1.5\" is not a whole number"),
        ("\nskew: 6x", "t.yaml:2:7: skew: \"6x\" is not a duration: write for example 60s or 5m"),
        ("skew: 2m", "t.yaml:1:7: skew: has to be between 0s and 1m"),
        ("colour: blue", "t.yaml:1:9: colour: \"blue\" is not one of red, green"),
        ("list: a", "t.yaml:1:7: list: has to be a list"),
        ("list: [a, [b]]", "t.yaml:1:11: list[1]: has to be a text or a mapping"),
        ("list: [a, { b: c }]", "t.yaml:1:11: list[1]: has to be a text"),
        ("many: { a: b }", "t.yaml:1:7: many: has to be a single value, not a mapping"),
        ("texts: [a]", "t.yaml:1:8: texts: has to be a mapping"),
        ("inner: text", "t.yaml:1:8: inner: has to be a mapping"),
        ("inner:\n  kye: x", "t.yaml:2:3: inner.kye: unknown key; did you mean key?"),
        ("sekw: 5s", "t.yaml:1:1: sekw: unknown key; did you mean skew?"),
        ("Count: 5", "t.yaml:1:1: Count: unknown key; did you mean count?"),
        ("zzzzzz: 5", "t.yaml:1:1: zzzzzz: unknown key; known here: colour, count, flag, inner"),
        (
            "name: ${NOPE}",
            "t.yaml:1:7: name: the environment variable NOPE is not set: set it, or write ${NOPE:-default}"
        ),
        ("list: [a, '${NOPE}']", "t.yaml:1:11: list[1]: the environment variable NOPE is not set"),
        ("name: ${NO PE}", "t.yaml:1:7: name: ${…} needs the name of an environment variable"),
        ("name: ${}", "t.yaml:1:7: name: ${…} needs the name"),
        ("name: ${A", "t.yaml:1:7: name: ${ without its }"),
        ("name: '${A:x}'", "t.yaml:1:7: name: ${A:…} is not understood"),
    ])
    func `a malformed value names its place and key`(yaml: String, expected: String) {
        let found = issues(yaml, environment: ["A": "a"], read)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix(expected) == true, "\(found)")
    }

    @Test func `all mistakes are reported together, in the order of their lines`() {
        let found = issues("skew: 6x\nnmae: a\nflag: maybe\ncount: 0\n", read)
        #expect(found.map { $0.prefix(9) } == ["t.yaml:1:", "t.yaml:2:", "t.yaml:3:", "t.yaml:4:"])
    }

    @Test(arguments: [
        ("${A}", "a"), ("x${A}y${A}", "xaya"), ("$$", "$"), ("$${A}", "${A}"), ("pa$word$", "pa$word$"), ("$A", "$A"),
        ("${NOPE:-d}", "d"), ("${EMPTY:-d}", "d"), ("${A:-d}", "a"), ("x${NOPE:-}", "x"), ("${DOLLAR}", "${A}"),
        ("${NOPE:-a:-b}", "a:-b"), ("$$$$", "$$"),
    ])
    func `variables are put in once`(text: String, expected: String) {
        var value: String?
        let environment = ["A": "a", "EMPTY": "", "DOLLAR": "${A}"]
        let found = issues("name: '\(text)'", environment: environment) { value = $0.string("name") }
        #expect(found == [])
        #expect(value == expected)
    }

    @Test func `a value out of the environment is never repeated`() {
        let found = issues("skew: ${A}\ncount: '${A}'\nflag: ${A}", environment: ["A": "hunter2hunter2"], read)
        #expect(found.count == 3)
        #expect(!found.joined().contains("hunter2"))
        #expect(found.first?.contains("\"${A}\" is not a duration") == true)
    }

    @Test func `plain scalars are texts as written`() {
        var values: [String?] = []
        let found = issues("a: 0123\nb: yes\nc: 1.50\nd: 2026-11-21\ne: 'null'") { section in
            values = ["a", "b", "c", "d", "e"].map { section.string($0) }
        }
        #expect(found == [])
        #expect(values == ["0123", "yes", "1.50", "2026-11-21", "null"])
    }

    @Test(
        arguments: [
            ("token_ulr", "token_url"), ("client-id", "client_id"), ("WINDOW", "window"), ("scew", "skew"),
            ("completely_else", nil), (String(repeating: "x", count: 10_000), nil),
        ] as [(String, String?)])
    func `the nearest word is found`(word: String, expected: String?) {
        let known = ["token_url", "client_id", "window", "skew"]
        #expect(EditDistance.nearest(to: word, among: known) == expected)
    }
}
