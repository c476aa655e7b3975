import Crypto
import RefreshCore

/// Proof Key for Code Exchange, S256 (RFC 7636).
struct PKCE: Sendable {
    let verifier: Secret
    let challenge: String

    /// A verifier of 256 random bits.
    init() {
        self.init(verifier: Secret(RandomText.make(bytes: 32)))
    }

    init(verifier: Secret) {
        self.verifier = verifier
        challenge = HTTPText.base64URL(Array(SHA256.hash(data: Array(verifier.reveal().utf8))))
    }
}

/// Texts that nobody can guess.
enum RandomText {
    /// That many random bytes as base64url without padding (RFC 4648 §5).
    static func make(bytes count: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return HTTPText.base64URL((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }
}
