#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Something that must not be found where people, logs and other programs look.
struct PlantedSecret: Sendable {
    var name: String
    /// Parts of it give it away too: what is looked for is every stretch of this length.
    private let needles: [[UInt8]]

    private static let stretch = 12

    /// - Parameter text: at least 16 characters that occur nowhere else.
    init(_ name: String, _ text: String) {
        self.name = name
        let forms = [text, text.percentEncoded, Data(text.utf8).base64EncodedString()]
        needles = Set(forms.flatMap { Self.stretches(Array($0.utf8)) }).sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Every token that begins like this.
    init(_ name: String, prefix: String) {
        self.name = name
        needles = [Array(prefix.utf8)]
    }

    /// The beginning, the middle and the end: a mask that shows most of a token shows one of them.
    private static func stretches(_ bytes: [UInt8]) -> [[UInt8]] {
        guard bytes.count > stretch else { return [bytes] }
        let last = bytes.count - stretch
        return [0, last / 2, last].map { Array(bytes[$0..<($0 + stretch)]) }
    }

    func isIn(_ bytes: [UInt8]) -> Bool {
        needles.contains { bytes.firstRange(of: $0) != nil }
    }
}

extension String {
    fileprivate var percentEncoded: String {
        utf8.map { byte in
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "-._~".utf8.contains(byte)
            if isPlain { return String(UnicodeScalar(byte)) }
            let hex = String(byte, radix: 16, uppercase: true)
            return "%" + (hex.count == 1 ? "0" + hex : hex)
        }.joined()
    }
}
