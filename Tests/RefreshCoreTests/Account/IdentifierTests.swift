import RefreshCore
import Testing

@Suite("Identifiers")
struct IdentifierTests {
    static let good = [
        "a", "alice@example.com", "A-Z_0.9+x:y", "...", "-", "0", String(repeating: "x", count: 64),
    ]
    static let bad = [
        "", ".", "..", "a b", "a/b", "a\nb", "a\u{0}b", "{a}", "a*", "ä", "a\u{200B}", "a,b", "a%20b", "\u{1F600}",
        "a\"",
        "a\\b", "a?b", "a#b", " a", "a\t",
    ]

    @Test("names that are safe in keys, URLs, logs and labels are taken as they are", arguments: good)
    func accepts(name: String) throws {
        #expect(try AccountID(name).rawValue == name)
        #expect(try ProviderName(name).rawValue == name)
        #expect(try InstanceID(name).rawValue == name)
    }

    @Test("others are refused with a reason", arguments: bad)
    func refuses(name: String) {
        #expect(throws: InvalidName.self) { try AccountID(name) }
        #expect(throws: InvalidName.self) { try ProviderName(name) }
        #expect(throws: InvalidName.self) { try InstanceID(name) }
    }

    @Test("lengths: accounts 200, instances 100, providers 64")
    func lengths() throws {
        func text(_ count: Int) -> String { String(repeating: "x", count: count) }
        #expect(try AccountID(text(200)).rawValue.count == 200)
        #expect(throws: InvalidName.self) { try AccountID(text(201)) }
        #expect(throws: InvalidName.self) { try ProviderName(text(65)) }
        #expect(throws: InvalidName.self) { try InstanceID(text(101)) }
        do throws(InvalidName) {
            _ = try AccountID("a b")
        } catch {
            #expect(error.description == "bad account id: only letters, digits and . _ - @ + : are allowed")
        }
    }

    @Test("attempt ids have 128 bits, always 32 digits, and repeat only with their seed")
    func attempts() {
        struct Zero: RandomNumberGenerator { mutating func next() -> UInt64 { 0 } }
        var zero = Zero()
        #expect(AttemptID(using: &zero).rawValue == String(repeating: "0", count: 32))
        var generator = SplitMix64(seed: 3)
        var again = SplitMix64(seed: 3)
        #expect(AttemptID(using: &generator) == AttemptID(using: &again))
        #expect(AttemptID(using: &generator).rawValue.count == 32)
        #expect(Set((0..<1000).map { _ in AttemptID(using: &generator) }).count == 1000)
    }
}
