/// The parameters of a token request that matter to a provider, from a form or JSON body.
struct TokenParameters: Sendable, Equatable {
    var grantType: String?
    var refreshToken: String?
    var clientID: String?
    var clientSecret: String?
    var code: String?
    var redirectURI: String?
    var codeVerifier: String?
    var deviceCode: String?

    /// Why a body could not be read, for `error_description`.
    struct Malformed: Error, Equatable {
        let reason: String
    }

    /// Reads `application/x-www-form-urlencoded`. Other parameters are ignored (RFC 6749 §3.2), an empty value counts
    /// as none, and a parameter that comes twice is an error.
    init(form bytes: some Collection<UInt8>) throws(Malformed) {
        for pair in bytes.split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let field: WritableKeyPath<TokenParameters, String?>? = Self.field(named: pair[..<equals])
            guard let field, equals < pair.endIndex else { continue }
            guard let value = FormText.decode(pair[pair.index(after: equals)...]) else {
                throw Malformed(reason: "The form is not valid URL encoding")
            }
            guard !value.isEmpty else { continue }
            guard self[keyPath: field] == nil else {
                throw Malformed(reason: "A parameter is given more than once")
            }
            self[keyPath: field] = value
        }
    }

    private static func field(named name: some Collection<UInt8>) -> WritableKeyPath<TokenParameters, String?>? {
        // Compared as raw bytes: nobody percent-encodes these names, and this runs for every request.
        if name.elementsEqual("grant_type".utf8) { return \.grantType }
        if name.elementsEqual("refresh_token".utf8) { return \.refreshToken }
        if name.elementsEqual("client_id".utf8) { return \.clientID }
        if name.elementsEqual("client_secret".utf8) { return \.clientSecret }
        if name.elementsEqual("code".utf8) { return \.code }
        if name.elementsEqual("redirect_uri".utf8) { return \.redirectURI }
        if name.elementsEqual("code_verifier".utf8) { return \.codeVerifier }
        if name.elementsEqual("device_code".utf8) { return \.deviceCode }
        return nil
    }
}

extension TokenParameters: Decodable {
    private enum CodingKeys: String, CodingKey {
        case grantType = "grant_type"
        case refreshToken = "refresh_token"
        case clientID = "client_id"
        case clientSecret = "client_secret"
        case code
        case redirectURI = "redirect_uri"
        case codeVerifier = "code_verifier"
        case deviceCode = "device_code"
    }
}

/// URL encoding of form values.
enum FormText {
    /// Decodes `%XX` and `+`; nil where an escape or the UTF-8 is malformed.
    static func decode(_ bytes: some Collection<UInt8>) -> String? {
        guard bytes.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else {
            return String(validating: bytes, as: UTF8.self)
        }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var iterator = bytes.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "+"): decoded.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(nibble), let low = iterator.next().flatMap(nibble) else {
                    return nil
                }
                decoded.append(high << 4 | low)
            default: decoded.append(byte)
            }
        }
        return String(validating: decoded, as: UTF8.self)
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
