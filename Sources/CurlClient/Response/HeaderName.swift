/// Header names are the same in upper and lower case (RFC 9110 §5.1).
enum HeaderName {
    static func same(_ one: String, _ other: String) -> Bool {
        func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }
        return one.utf8.elementsEqual(other.utf8) { lower($0) == lower($1) }
    }

    static func first(_ name: String, in headers: [(name: String, value: String)]) -> String? {
        headers.first { same($0.name, name) }?.value
    }
}
