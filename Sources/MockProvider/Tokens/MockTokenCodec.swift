/// Makes tokens that say by themselves which family, generation and expiry they belong to.
///
/// A provider that stored every token it ever issued would grow without bound, and could not tell a token consumed
/// long ago from one it never saw. Here a keyed tag is recomputed instead. It guards against mistakes, not against
/// attackers: this is a test double.
struct MockTokenCodec: Sendable {
    /// What a refresh token says.
    struct Refresh: Hashable {
        var family: UInt32
        var generation: UInt32
    }

    /// What an access token says.
    struct Access: Equatable {
        var family: UInt32
        var serial: UInt32
        var expiresAt: MockInstant
    }

    private static let refreshPrefix: [UInt8] = Array("mrt_".utf8)
    private static let accessPrefix: [UInt8] = Array("mat_".utf8)
    private static let refreshLength = 4 + 8 + 8 + 16
    private static let accessLength = 4 + 8 + 8 + 16 + 16

    private let refreshKey: UInt64
    private let accessKey: UInt64

    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        refreshKey = generator.next()
        accessKey = generator.next()
    }

    func text(_ token: Refresh) -> String {
        String(unsafeUninitializedCapacity: Self.refreshLength) { buffer in
            var writer = HexWriter(buffer: buffer)
            writer.append(Self.refreshPrefix)
            writer.append(UInt64(token.family), digits: 8)
            writer.append(UInt64(token.generation), digits: 8)
            writer.append(tag(token), digits: 16)
            return writer.count
        }
    }

    func text(_ token: Access) -> String {
        String(unsafeUninitializedCapacity: Self.accessLength) { buffer in
            var writer = HexWriter(buffer: buffer)
            writer.append(Self.accessPrefix)
            writer.append(UInt64(token.family), digits: 8)
            writer.append(UInt64(token.serial), digits: 8)
            writer.append(UInt64(bitPattern: token.expiresAt.milliseconds), digits: 16)
            writer.append(tag(token), digits: 16)
            return writer.count
        }
    }

    /// The refresh token that `text` is, or nil if this codec did not make it.
    func refresh(_ text: String) -> Refresh? {
        var reader = HexReader(text.utf8)
        guard text.utf8.count == Self.refreshLength, reader.skip(Self.refreshPrefix),
            let family = reader.read(digits: 8), let generation = reader.read(digits: 8),
            let tag = reader.read(digits: 16)
        else { return nil }
        let token = Refresh(family: UInt32(family), generation: UInt32(generation))
        return self.tag(token) == tag ? token : nil
    }

    /// The access token that `text` is, or nil if this codec did not make it.
    func access(_ text: Substring) -> Access? {
        var reader = HexReader(text.utf8)
        guard text.utf8.count == Self.accessLength, reader.skip(Self.accessPrefix),
            let family = reader.read(digits: 8), let serial = reader.read(digits: 8),
            let expiry = reader.read(digits: 16), let tag = reader.read(digits: 16)
        else { return nil }
        let token = Access(
            family: UInt32(family), serial: UInt32(serial),
            expiresAt: MockInstant(milliseconds: Int64(bitPattern: expiry)))
        return self.tag(token) == tag ? token : nil
    }

    private func tag(_ token: Refresh) -> UInt64 {
        SeededGenerator.mix(
            SeededGenerator.mix(refreshKey ^ (UInt64(token.family) << 32 | UInt64(token.generation))) &+ refreshKey)
    }

    private func tag(_ token: Access) -> UInt64 {
        let identity = SeededGenerator.mix(accessKey ^ (UInt64(token.family) << 32 | UInt64(token.serial)))
        return SeededGenerator.mix((identity &+ accessKey) ^ UInt64(bitPattern: token.expiresAt.milliseconds))
    }
}

/// Writes lower-case hexadecimal into a buffer that is known to be large enough.
private struct HexWriter {
    let buffer: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(buffer: UnsafeMutableBufferPointer<UInt8>) {
        self.buffer = buffer
    }

    mutating func append(_ bytes: [UInt8]) {
        for byte in bytes {
            buffer[count] = byte
            count += 1
        }
    }

    mutating func append(_ value: UInt64, digits: Int) {
        for position in stride(from: digits - 1, through: 0, by: -1) {
            let nibble = UInt8((value >> (UInt64(position) * 4)) & 0xF)
            buffer[count] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
            count += 1
        }
    }
}

/// Reads what ``HexWriter`` wrote. Upper case is refused: a token has one spelling.
private struct HexReader<Bytes: Collection<UInt8>> {
    private var rest: Bytes.SubSequence

    init(_ bytes: Bytes) {
        rest = bytes[...]
    }

    mutating func skip(_ prefix: [UInt8]) -> Bool {
        guard rest.starts(with: prefix) else { return false }
        rest = rest.dropFirst(prefix.count)
        return true
    }

    mutating func read(digits: Int) -> UInt64? {
        var value: UInt64 = 0
        for _ in 0..<digits {
            guard let byte = rest.popFirst() else { return nil }
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(byte - 0x57)
            default: return nil
            }
        }
        return value
    }
}
