#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Something that must not be found where people, logs and other programs look.
struct PlantedSecret: Sendable, Hashable {
    let name: String
    let text: String

    init(_ name: String, _ text: String) {
        self.name = name
        self.text = text
    }

    /// One that occurs nowhere else.
    ///
    /// - Parameter odd: characters to put in between, because encodings change them.
    static func random(_ name: String, length: Int = 36, odd: String = "+/") -> PlantedSecret {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        var text = (0..<length).map { _ in letters.randomElement() ?? "a" }
        for (number, character) in odd.enumerated() { text[(number + 1) * length / (odd.count + 1)] = character }
        return PlantedSecret(name, String(text))
    }

    /// As others may have written it: as it is, in JSON, percent-encoded, as a form has it, in hexadecimal, and in base64,
    /// by itself and behind something else.
    var forms: Set<[UInt8]> {
        let bytes = Array(text.utf8)
        func percent(_ plain: String, _ isUpper: Bool) -> String {
            bytes.map { byte in
                let isPlain =
                    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || plain.utf8.contains(byte)
                return isPlain ? String(UnicodeScalar(byte)) : "%" + Self.hexadecimal([byte], isUpper)
            }.joined()
        }
        let json = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        var forms: Set<[UInt8]> = [bytes]
        for form in [
            json, json.replacing("/", with: "\\/"), percent("-._~", true), percent("-._~", false),
            percent("*-._", true),
            percent("*-._", true).replacing("%20", with: "+"), Self.hexadecimal(bytes, true),
            Self.hexadecimal(bytes, false),
        ] { forms.insert(Array(form.utf8)) }
        for before in 0..<3 {
            let data = Data([UInt8](repeating: 0x2D, count: before) + bytes)
            // Without what else is in the characters at the ends.
            let own = Array(data.base64EncodedString().utf8.dropFirst(before + 1).dropLast(3))
            forms.insert(own)
            forms.insert(own.map { $0 == 0x2B ? 0x2D : $0 == 0x2F ? 0x5F : $0 })
        }
        return forms
    }

    private static func hexadecimal(_ bytes: [UInt8], _ isUpper: Bool) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16, uppercase: isUpper)
            return byte < 16 ? "0" + text : text
        }.joined()
    }
}
