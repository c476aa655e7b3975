import RefreshCore
import Sealing
import Testing

@Suite
struct KeyRingTests {
    private let account = try! AccountID("a")

    private func place(_ field: String = "access", _ generation: Int64 = 1) -> KeyRing.Place {
        .init(account: account, field: field, generation: Generation(generation))
    }

    @Test func whatIsSealedOpensAgainAndShowsNothing() throws {
        let ring = try KeyRing(keys: [.generate()])
        let sealed = try ring.seal(Secret("a secret token"), at: place())
        #expect(try ring.openSecret(sealed, at: place()) == Secret("a secret token"))
        #expect(!String(decoding: sealed, as: UTF8.self).contains("secret"))
        #expect(try ring.seal(Secret("a secret token"), at: place()) != sealed)
    }

    @Test func aSealedValueCannotBeMoved() throws {
        let ring = try KeyRing(keys: [.generate()])
        let sealed = try ring.seal(Secret("token"), at: place())
        let other = try AccountID("b")
        for elsewhere in [
            place("refresh"), place("access", 2), .init(account: other, field: "access", generation: Generation(1)),
            .init(purpose: "access"),
        ] {
            let error = #expect(throws: SealingError.self) { try ring.openSecret(sealed, at: elsewhere) }
            #expect(error?.code == .broken)
        }
    }

    @Test func everyChangedByteIsNoticed() throws {
        let ring = try KeyRing(keys: [.generate()])
        let sealed = try ring.seal(Secret("token"), at: place())
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(throws: SealingError.self) { try ring.open(changed, at: place()) }
        }
        for length in 0..<sealed.count {
            #expect(throws: SealingError.self) { try ring.open(Array(sealed.prefix(length)), at: place()) }
        }
    }

    @Test func oldKeysOpenAndTheFirstSeals() throws {
        let (old, new) = (SealingKey.generate(), SealingKey.generate())
        let sealed = try KeyRing(keys: [old]).seal(Secret("token"), at: place())
        let rotated = try KeyRing(keys: [new, old])
        #expect(try rotated.openSecret(sealed, at: place()) == Secret("token"))
        let resealed = try rotated.seal(Secret("token"), at: place())
        #expect(try KeyRing(keys: [new]).openSecret(resealed, at: place()) == Secret("token"))
        let error = #expect(throws: SealingError.self) { try KeyRing(keys: [new]).open(sealed, at: place()) }
        #expect(error?.code == .unknownKey)
    }

    @Test func keyFilesNameTheLineThatIsWrong() throws {
        let key = SealingKey.generate().revealBase64()
        #expect(try KeyRing(text: "# comment\n\n\(key)  # first\n\(key)\n", source: "f").keys.count == 2)
        for (text, part) in [
            ("", "holds no key"), ("# only a comment", "holds no key"), ("\(key)\nAAAA\n", "f:2:"),
            ("not base64!", "f:1:"),
        ] {
            let error = #expect(throws: SealingError.self) { try KeyRing(text: text, source: "f") }
            #expect(error?.description.contains(part) == true)
        }
        #expect(throws: SealingError.self) { try KeyRing(file: "/nonexistent/sealing.key") }
    }

    @Test func keysAreNeverPrinted() throws {
        let key = SealingKey.generate()
        let text = key.revealBase64()
        var dumped = ""
        dump(key, to: &dumped)
        for shown in ["\(key)", String(reflecting: key), dumped, "\(try KeyRing(keys: [key]))"] {
            #expect(!shown.contains(text))
        }
    }
}
