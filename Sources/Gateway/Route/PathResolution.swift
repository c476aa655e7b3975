/// Why a path is not passed on.
public struct PathRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String
}

/// Joins the path of a request to the prefix of a route's upstream, so that it cannot lead out of it.
///
/// Servers differ in what they undo before they look for `..`: percent-encoding once or several times (RFC 3986 §2.4 forbids
/// more than once), overlong UTF-8 (RFC 3629 §3), backslashes as slashes, parameters behind a `;`. A path on which they could
/// differ is refused.
public enum PathResolution {
    /// How often encoding is undone to see what becomes of the path.
    private static let mostDecodings = 4

    /// - Parameter path: what stands behind the route's name: empty, or beginning with a slash; without the query.
    /// - Returns: prefix and path, the latter as it came.
    public static func join(
        _ prefix: String, _ path: Substring, allowsEncodedSlashes: Bool = false
    ) throws(PathRefusal) -> String {
        if path.isEmpty { return prefix.isEmpty ? "/" : prefix }
        try check(path.utf8, allowsEncodedSlashes: allowsEncodedSlashes)
        return prefix + path
    }

    static func check(
        _ path: Substring.UTF8View, allowsEncodedSlashes: Bool
    ) throws(PathRefusal) {
        var segment = Segment()
        var utf8 = OverlongCheck()
        var index = path.startIndex
        var hasEncodedPercent = false
        while index != path.endIndex {
            var byte = path[index]
            index = path.index(after: index)
            var isSeparator = byte == UInt8(ascii: "/")
            if byte == UInt8(ascii: "%") {
                guard let decoded = hexadecimalPair(path, &index) else {
                    throw PathRefusal(description: "holds a % that is not followed by two hexadecimal digits")
                }
                byte = decoded
                switch decoded {
                case UInt8(ascii: "/"):
                    guard allowsEncodedSlashes else { throw PathRefusal(description: "holds an encoded slash (%2F)") }
                    isSeparator = true
                case UInt8(ascii: "\\"): throw PathRefusal(description: "holds an encoded backslash (%5C)")
                case UInt8(ascii: "."): throw PathRefusal(description: "holds an encoded dot (%2E): write it as it is")
                case UInt8(ascii: "%"): hasEncodedPercent = true
                case 0..<0x20, 0x7F: throw PathRefusal(description: "holds an encoded control character")
                default: break
                }
            } else {
                switch byte {
                case UInt8(ascii: "\\"): throw PathRefusal(description: "holds a backslash")
                case UInt8(ascii: "#"): throw PathRefusal(description: "holds a fragment (#…)")
                case 0...0x20, 0x7F...: throw PathRefusal(description: "holds a control, blank or non-ASCII character")
                default: break
                }
            }
            try utf8.take(byte)
            try segment.take(byte, isSeparator: isSeparator)
        }
        try segment.end()
        if hasEncodedPercent { try checkDecoded(path) }
    }

    /// Undoes encoding until nothing changes any more: what a server makes of it that does so more than once.
    private static func checkDecoded(_ path: Substring.UTF8View) throws(PathRefusal) {
        var bytes = decoded(Array(path)).bytes
        for _ in 0..<mostDecodings {
            let next = decoded(bytes)
            guard next.hasChanged else { return }
            guard next.isHarmless else {
                throw PathRefusal(
                    description: "holds a dot, slash, backslash or control character that is encoded more than once")
            }
            bytes = next.bytes
            var segment = Segment()
            var utf8 = OverlongCheck()
            for byte in bytes {
                try utf8.take(byte)
                try segment.take(byte, isSeparator: byte == UInt8(ascii: "/"))
            }
            try segment.end()
        }
        throw PathRefusal(description: "is percent-encoded more than \(mostDecodings) times over")
    }

    /// Undoes percent-encoding once; what is none stays.
    ///
    /// - Returns: `isHarmless`: nothing came of it that could lead elsewhere.
    static func decoded(_ bytes: [UInt8]) -> (bytes: [UInt8], hasChanged: Bool, isHarmless: Bool) {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var hasChanged = false
        var isHarmless = true
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            {
                let byte = high << 4 | low
                hasChanged = true
                if byte < 0x20 || byte == 0x7F
                    || [UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "\\")].contains(byte)
                {
                    isHarmless = false
                }
                result.append(byte)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return (result, hasChanged, isHarmless)
    }

    /// What a segment is after decoding, as far as that matters: its dots, and whether it is nothing else up to a `;`.
    private struct Segment {
        private var dots = 0
        private var isDots = true
        private var hasParameters = false

        mutating func take(_ byte: UInt8, isSeparator: Bool) throws(PathRefusal) {
            if isSeparator {
                try end()
                self = Segment()
            } else if byte == UInt8(ascii: ";") {
                hasParameters = true
            } else if byte == UInt8(ascii: "."), !hasParameters {
                dots += 1
            } else if !hasParameters {
                isDots = false
            }
        }

        func end() throws(PathRefusal) {
            guard isDots, (1...2).contains(dots) else { return }
            throw PathRefusal(description: "has a segment . or .., which leads elsewhere")
        }
    }

    /// Looks for characters in more bytes than they need, which lenient decoders take for what they stand for.
    private struct OverlongCheck {
        private var previous: UInt8 = 0

        mutating func take(_ byte: UInt8) throws(PathRefusal) {
            let isOverlong =
                switch byte {
                case 0xC0, 0xC1: true
                case 0x80...0x9F where previous == 0xE0: true
                case 0x80...0x8F where previous == 0xF0: true
                default: false
                }
            if isOverlong { throw PathRefusal(description: "holds overlong UTF-8") }
            previous = byte
        }
    }

    private static func hexadecimalPair(
        _ path: Substring.UTF8View, _ index: inout Substring.UTF8View.Index
    ) -> UInt8? {
        guard index != path.endIndex, let high = digit(path[index]) else { return nil }
        let second = path.index(after: index)
        guard second != path.endIndex, let low = digit(path[second]) else { return nil }
        index = path.index(after: second)
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
