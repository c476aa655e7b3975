import Crypto
import RefreshCore
import Testing

@testable import Sealing

/// Trap 9: what cannot be sealed is an error, and never its own plaintext.
struct BrokenKeyTests {
    /// AES has no keys of this length, so that sealing itself fails.
    private static let broken = SealingKey(key: SymmetricKey(size: .init(bitCount: 40)), id: [1, 2, 3, 4])

    @Test func whatCannotBeSealedIsNoValue() throws {
        let ring = try KeyRing(keys: [Self.broken, .generate()])
        let place = KeyRing.Place(account: try AccountID("a"), field: "access", generation: Generation(1))
        for text in ["", "a secret token", String(repeating: "x", count: 10_000)] {
            let error = #expect(throws: SealingError.self) { try ring.seal(Secret(text), at: place) }
            #expect(error?.code == .broken)
            #expect(error?.description == "sealing failed")
        }
    }
}
