/// The slot of a Cluster that a key belongs to.
///
/// CRC16 (XMODEM) of the key modulo 16384. Where the key has a `{…}` that is not empty, only what stands in the first
/// of them counts, so that keys can be kept together. See
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.
enum HashSlot {
    static let count = 16384

    static func of(_ key: String) -> Int {
        var key = key
        return key.withUTF8 { bytes in
            guard let open = bytes.firstIndex(of: UInt8(ascii: "{")) else { return of(bytes[...]) }
            let rest = bytes[(open + 1)...]
            guard let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex else {
                return of(bytes[...])
            }
            return of(rest[..<close])
        }
    }

    private static func of(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int { Int(crc16(bytes)) % count }

    /// Polynomial 0x1021, start 0, nothing reflected.
    static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        bytes.reduce(0) { crc, byte in crc << 8 ^ table[Int(UInt8(crc >> 8) ^ byte)] }
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { crc, _ in crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
    }
}
