import FoundationEssentials
import RefreshCore

/// Finds what gives secrets away in texts that somebody else has written: all of one, a part of one, and either as the
/// usual encodings have it (percent, form, JSON, base64, hexadecimal).
struct SecretTraces {
    /// Parts are found from this many bytes on; shorter ones are in ordinary words, too.
    static let partLength = 12

    /// Every stretch of that length of every form of every secret.
    private var parts: Set<Window> = []
    /// Forms that are shorter, as a whole.
    private var wholes: [[UInt8]] = []

    /// - Parameters:
    ///   - shortest: secrets of fewer bytes are not looked for: they would blank out ordinary words.
    ///   - texts: where traces are looked for, if that is known: what is not in them need not be remembered.
    init(of secrets: [Secret], shortest: Int, in texts: [String]? = nil) {
        let filter = texts.map { WindowFilter(of: $0) }
        for secret in secrets {
            let text = secret.reveal()
            guard text.utf8.count >= shortest else { continue }
            for form in Self.forms(text) {
                if form.count < Self.partLength {
                    wholes.append(form)
                } else {
                    Window.each(of: form) { window, _ in
                        if filter?.mayHold(window) ?? true { parts.insert(window) }
                    }
                }
            }
        }
    }

    var isEmpty: Bool { parts.isEmpty && wholes.isEmpty }

    /// With `***` in the place of every trace.
    func blanked(_ bytes: [UInt8]) -> [UInt8] {
        guard !isEmpty else { return bytes }
        var result: [UInt8] = []
        var rest = 0
        for range in ranges(in: bytes) {
            result += bytes[rest..<range.lowerBound]
            result += "***".utf8
            rest = range.upperBound
        }
        return rest == 0 ? bytes : result + bytes[rest...]
    }

    /// As ``blanked(_:)-([UInt8])``; a character that a trace cuts through becomes one that stands for it.
    func blanked(_ text: String) -> String {
        guard !isEmpty else { return text }
        return String(decoding: blanked(Array(text.utf8)), as: UTF8.self)
    }

    func areIn(_ text: String) -> Bool { !isEmpty && !ranges(in: Array(text.utf8)).isEmpty }

    /// Apart from each other, in order.
    private func ranges(in bytes: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        if !parts.isEmpty {
            Window.each(of: bytes) { window, end in
                if parts.contains(window) { found.append(end - Self.partLength..<end) }
            }
        }
        for whole in wholes {
            found += bytes.ranges(of: whole)
        }
        found.sort { $0.lowerBound < $1.lowerBound }
        var merged: [Range<Int>] = []
        for range in found {
            if let last = merged.last, range.lowerBound <= last.upperBound {
                merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    // MARK: Forms

    private static func forms(_ text: String) -> Set<[UInt8]> {
        let bytes = Array(text.utf8)
        var forms: Set<[UInt8]> = [bytes]
        forms.insert(Array(text.lowercased().utf8))
        if !bytes.allSatisfy(HTTPText.isAlphanumeric) {
            let percent = HTTPText.percentEncoded(text)
            let form = HTTPText.formEncoded(text)
            let json = String(HTTPText.jsonString(text).dropFirst().dropLast())
            for written in [
                percent, percent.lowercased(), form, json, json.replacing("/", with: "\\/"), escapedToASCII(text),
            ] { forms.insert(Array(written.utf8)) }
            // Some encode more than they have to, and in lower case (RFC 3986 §2.1 takes both).
            for digits in [Array("0123456789ABCDEF".utf8), Array("0123456789abcdef".utf8)] {
                forms.insert(
                    bytes.flatMap { byte in
                        HTTPText.isAlphanumeric(byte)
                            ? [byte] : [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
                    })
            }
        }
        let hexadecimal = HTTPText.hexadecimal(bytes)
        forms.insert(Array(hexadecimal.utf8))
        forms.insert(Array(hexadecimal.uppercased().utf8))
        // Behind something else, as in HTTP basic, each of three forms is possible.
        for before in 0..<3 where bytes.count >= 4 {
            let encoded = Array(Data([UInt8](repeating: 0, count: before) + bytes).base64EncodedString().utf8)
            let padding = encoded.reversed().prefix { $0 == UInt8(ascii: "=") }.count
            // The characters at the ends hold bits of what stands before and behind.
            let first = before == 0 ? 0 : before + 1
            let own = Array(encoded[first..<(encoded.count - padding - (padding == 0 ? 0 : 1))])
            forms.insert(own)
            forms.insert(
                own.map { byte in
                    byte == UInt8(ascii: "+") ? UInt8(ascii: "-") : byte == UInt8(ascii: "/") ? UInt8(ascii: "_") : byte
                })
        }
        return forms
    }

    /// JSON with everything but ASCII as `\u` escapes (RFC 8259 §7).
    private static func escapedToASCII(_ text: String) -> String {
        text.utf16.reduce(into: "") { result, unit in
            if let scalar = UnicodeScalar(unit), scalar.isASCII, unit >= 0x20, unit != 0x22, unit != 0x5C {
                result.unicodeScalars.append(scalar)
            } else if unit == 0x22 || unit == 0x5C {
                result += unit == 0x22 ? "\\\"" : "\\\\"
            } else {
                let digits = String(unit, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
    }
}

/// Twelve bytes in a row, which move along a text one byte at a time.
private struct Window: Hashable {
    private var high: UInt32 = 0
    private var low: UInt64 = 0

    /// Twelve bits for ``WindowFilter``.
    var digest: Int { Int(truncatingIfNeeded: ((low ^ UInt64(high)) &* 0x9E37_79B9_7F4A_7C15) >> 52) }

    /// Calls `body` with every window and the position behind it.
    static func each(of bytes: [UInt8], _ body: (Window, Int) -> Void) {
        var window = Window()
        for (index, byte) in bytes.enumerated() {
            window.high = window.high << 8 | UInt32(truncatingIfNeeded: window.low >> 56)
            window.low = window.low << 8 | UInt64(byte)
            if index + 1 >= SecretTraces.partLength { body(window, index + 1) }
        }
    }
}

/// Says fast of most windows that they are not in the texts it was made of.
private struct WindowFilter {
    /// One bit for each of the 4096 digests.
    private var bits = [UInt64](repeating: 0, count: 64)

    init(of texts: [String]) {
        for text in texts {
            Window.each(of: Array(text.utf8)) { window, _ in bits[window.digest >> 6] |= 1 << (window.digest & 63) }
        }
    }

    func mayHold(_ window: Window) -> Bool { bits[window.digest >> 6] & 1 << (window.digest & 63) != 0 }
}
