import ConfigurationFile
import RefreshCore
import Testing

/// Reads `yaml` with the keys that the body asks for; answers the issues, one a line.
func issues(
    _ yaml: String, environment: [String: String] = [:], _ body: (ConfigurationSection) -> Void
) -> [String] {
    let issues = ConfigurationIssues()
    do {
        let document = try ConfigurationDocument(Array(yaml.utf8), file: "t.yaml")
        document.read(environment: environment, issues: issues, body)
    } catch {
        return error.issues.map(\.description)
    }
    return issues.sorted.map(\.description)
}

struct ConfigurationDocumentTests {
    @Test(arguments: ["", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "~\n", "\u{FEFF}# a byte order mark\n"])
    func `nothing at all is fine`(yaml: String) {
        var keys = ["unread"]
        let found = issues(yaml) { keys = $0.keys }
        #expect(found == [])
        #expect(keys == [])
    }

    @Test(arguments: [
        ("a: 1\na: 2\n", "t.yaml:1:1: the key a is given twice"),
        ("x:\n  1: a\n  \"1\": b\n", "t.yaml:3:3: x.1: is given twice"),
        ("a: [1\n", "t.yaml:2:1: is not valid YAML"),
        ("a: 1\n b: 2\n", "t.yaml:2:3: is not valid YAML"),
        ("a: 1\n\tb: 2\n", "t.yaml:2:1: a tab cannot indent YAML"),
        ("a:\n  \tb: 2\n", "t.yaml:2:3: a tab cannot indent YAML"),
        ("a: &x 1\n", "t.yaml:1:4: anchors and aliases are not supported"),
        ("a: 1\nb: *x\n", "t.yaml:2:4: anchors and aliases are not supported"),
        ("a: [1, *x]\n", "t.yaml:1:8: anchors and aliases"),
        ("- *x\n", "t.yaml:1:3: anchors and aliases"),
        ("a: |\n  *text\nb: *x\n", "t.yaml:3:4: anchors and aliases"),
        ("a:\n  - b: |\n      *text\n    c: *x\n", "t.yaml:4:8: anchors and aliases"),
        ("a: \"*no\"\nb: 'it''s *no'\nc: &x d\n", "t.yaml:3:4: anchors and aliases"),
        ("a: \"two\n  lines *no\"\nb: *x\n", "t.yaml:3:4: anchors and aliases"),
        ("- 1\n- 2\n", "t.yaml:1:1: the file has to be a mapping"),
        ("just text\n", "t.yaml:1:1: the file has to be a mapping"),
        ("a: 1\n---\nb: 2\n", "t.yaml:2:1: is not valid YAML: but found another document"),
        ("? [a, b]\n: 1\n", "t.yaml:1:3: a key has to be a plain word"),
        ("<<: 1\n", "t.yaml:1:1: <<: unknown key"),
        ("a: \u{0}\n", "t.yaml: is not valid YAML: control characters are not allowed"),
        ("a: @b\n", "t.yaml:1:4: is not valid YAML"),
    ])
    func `what is no configuration is refused with its place`(yaml: String, expected: String) {
        let found = issues(yaml) { section in
            _ = section.section("x") { _ = $0.keys }
            _ = (section.contains("a"), section.contains("b"), section.contains("c"))
        }
        #expect(found.first?.hasPrefix(expected) == true, "\(found)")
    }

    @Test func `quotes, comments and block scalars may hold what looks like an alias`() {
        let yaml = """
            # &a *b
            a: x # *y
            b: "&x *y"
            c: '*y'
            d: >-
              *y
                &z
            e: a*b & c
            f: [ "*", 'a' ]
            """
        var values: [String?] = []
        let found = issues(yaml) { section in
            values = ["a", "b", "c", "d", "e"].map { section.string($0) }
            values += section.strings("f") ?? []
        }
        #expect(found == [])
        #expect(values == ["x", "&x *y", "*y", "*y\n  &z", "a*b & c", "*", "a"])
    }

    @Test(arguments: [
        ("", "[", 500_000), ("", "{a: ", 100_000), ("", "- ", 400_000), ("", "? ", 400_000), ("a: ", "{", 33),
        ("", " ", 300),
    ])
    func `nesting beyond reason is refused`(start: String, piece: String, count: Int) {
        let yaml = start + String(repeating: piece, count: count) + "a: 1"
        let found = issues(yaml) { _ = $0.keys }
        #expect(found.count == 1)
        #expect(found.first?.contains("too deeply") == true, "\(found)")
    }

    @Test func `a bomb of aliases is refused at its first anchor`() {
        var yaml = "a0: &a0 [x]\n"
        for level in 1...30 { yaml += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        yaml += "? *a30\n: 1\n"
        #expect(issues(yaml) { _ = $0.keys }.first?.hasPrefix("t.yaml:1:5: anchors") == true)
    }

    @Test func `size and encoding are checked`() {
        let big = [UInt8](repeating: UInt8(ascii: "#"), count: ConfigurationDocument.maximumSize + 1)
        #expect(throws: ConfigurationError.self) { try ConfigurationDocument(big, file: "t.yaml") }
        let latin = Array("a: 1\nb: caf".utf8) + [0xE9, 0x0A]
        do {
            _ = try ConfigurationDocument(latin, file: "t.yaml")
            Issue.record("accepted")
        } catch {
            #expect(error.description == "t.yaml:2: is not UTF-8 text: save it as UTF-8")
        }
    }

    @Test(arguments: ["/nonexistent/perennial.yaml", "/", "/dev/zero", ""])
    func `files that cannot be read are refused`(path: String) {
        do {
            _ = try ConfigurationDocument(contentsOf: path)
            Issue.record("accepted \(path)")
        } catch {
            #expect(error.issues.first?.code == .unreadable)
            #expect(error.description.contains(path))
        }
    }

    @Test func `mutated documents never crash`() {
        let seeds: [UInt64] = [1, 2, 3]
        let base = Array(
            "a: [1, {b: \"x\\u00e9\"}]\nc: |\n  text\n  more\nd:\n  - e: 'f'\n    g: >-\n      h\n".utf8)
        let spice = Array("&*[]{}:-?|>'\"#!%@`,\t\n \\~<\u{0}".utf8) + [0xC3, 0xFF, 0x80]
        for seed in seeds {
            var generator = SplitMix64(seed: seed)
            for _ in 0..<400 {
                var bytes = base
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    let at = Int.random(in: 0..<bytes.count, using: &generator)
                    switch Int.random(in: 0...2, using: &generator) {
                    case 0: bytes[at] = spice.randomElement(using: &generator) ?? 0
                    case 1: bytes.insert(spice.randomElement(using: &generator) ?? 0, at: at)
                    default: if bytes.count > 1 { bytes.remove(at: at) }
                    }
                }
                guard let document = try? ConfigurationDocument(bytes, file: "t.yaml") else { continue }
                let issues = ConfigurationIssues()
                document.read(environment: [:], issues: issues) { section in
                    _ = (
                        section.string("a"), section.strings("a"), section.string("c"),
                        section.duration("c", in: .zero ... .seconds(1))
                    )
                    section.elements("d", text: { _, _ in }, mapping: { _ = $0.string("e") })
                }
                _ = issues.sorted.map(\.description)
            }
        }
    }
}
