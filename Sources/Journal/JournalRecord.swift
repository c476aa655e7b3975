import RefreshCore
import Sealing

/// One record of a journal file: a length, a checksum, a kind and what it says.
///
/// Layout (integers big-endian): 4 bytes length of kind and payload, 4 bytes CRC-32 of them, 1 byte kind, payload.
/// A crash in the middle of a write leaves a record whose length or checksum does not fit; reading stops there.
enum JournalRecord {
    /// A token response: the attempt id's length and bytes, then the sealed entry.
    case response(AttemptID, sealed: [UInt8])
    /// The answer of that attempt is in the store, and nothing of it is needed here any more.
    case released(AttemptID)
    /// The answer of that attempt is in the store, and is kept for a while in case a failover loses it there.
    case stored(AttemptID)

    private static let responseKind: UInt8 = 1
    private static let releasedKind: UInt8 = 2
    private static let storedKind: UInt8 = 3
    /// A larger record cannot be one: token responses are capped far below.
    static let largest = 16 << 20

    var encoded: [UInt8] {
        var body: [UInt8] = []
        switch self {
        case .response(let attempt, let sealed):
            let name = Array(attempt.rawValue.utf8.prefix(255))
            body = [Self.responseKind, UInt8(name.count)] + name + sealed
        case .released(let attempt):
            body = [Self.releasedKind] + Array(attempt.rawValue.utf8)
        case .stored(let attempt):
            body = [Self.storedKind] + Array(attempt.rawValue.utf8)
        }
        return Self.bytes(UInt32(body.count)) + Self.bytes(CRC32.checksum(body)) + body
    }

    /// What stands for an entry in the file: its response, and the mark that it is stored.
    static func bytes(of entry: JournalEntry, sealedBy codec: JournalEntryCodec) throws(JournalError) -> [UInt8] {
        let response = JournalRecord.response(entry.attempt, sealed: try codec.seal(entry)).encoded
        return entry.isStored ? response + JournalRecord.stored(entry.attempt).encoded : response
    }

    /// The record that begins at `offset`, and where it ends; nil where no whole record begins there. A record of a kind
    /// that this version does not know is whole and has no content.
    static func read(_ bytes: [UInt8], at offset: Int) -> (record: JournalRecord?, end: Int)? {
        guard offset + 8 <= bytes.count else { return nil }
        let length = Int(number(bytes, at: offset))
        guard length > 0, length <= largest, offset + 8 + length <= bytes.count else { return nil }
        let body = Array(bytes[(offset + 8)..<(offset + 8 + length)])
        guard CRC32.checksum(body) == number(bytes, at: offset + 4) else { return nil }
        return (decodeBody(body), offset + 8 + length)
    }

    /// Whether a record of a kind that this version knows may begin there, judged by its kind alone: a search through
    /// damage computes no checksum for anything else.
    static func mayBegin(_ bytes: [UInt8], at offset: Int) -> Bool {
        offset + 8 < bytes.count && (responseKind...storedKind).contains(bytes[offset + 8])
    }

    private static func decodeBody(_ body: [UInt8]) -> JournalRecord? {
        switch body.first {
        case responseKind:
            guard body.count >= 2, body.count >= 2 + Int(body[1]) else { return nil }
            let name = String(decoding: body[2..<(2 + Int(body[1]))], as: UTF8.self)
            return .response(AttemptID(rawValue: name), sealed: Array(body[(2 + Int(body[1]))...]))
        case releasedKind:
            return .released(AttemptID(rawValue: String(decoding: body.dropFirst(), as: UTF8.self)))
        case storedKind:
            return .stored(AttemptID(rawValue: String(decoding: body.dropFirst(), as: UTF8.self)))
        default: return nil
        }
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * UInt32($0))) }
    }

    private static func number(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// The checksum of ISO 3309, as in gzip.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ (value >> 1) : value >> 1 }
    }

    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ ($0 >> 8) }
    }
}

/// How an entry is written inside its seal: a version byte, then each field as its length (4 bytes, big-endian) and its
/// bytes. By hand, because this stands between every answer and its fsync.
struct JournalEntryCodec {
    private static let version: UInt8 = 1

    let ring: KeyRing

    private func place(_ attempt: AttemptID) -> KeyRing.Place { .init(purpose: "journal \(attempt.rawValue)") }

    func seal(_ entry: JournalEntry) throws(JournalError) -> [UInt8] {
        var writer = FieldWriter(version: Self.version, capacity: entry.response.body.count + 512)
        writer.add(entry.account.rawValue.utf8)
        writer.add(entry.provider.rawValue.utf8)
        writer.add(String(entry.generation.rawValue).utf8)
        writer.add(entry.spentRefreshToken.reveal().utf8)
        writer.add((entry.isRecovery ? "1" : "0").utf8)
        writer.add(String(entry.response.status).utf8)
        writer.add(String(entry.response.requestedAt.milliseconds).utf8)
        writer.add(entry.response.body)
        for header in entry.response.headers {
            writer.add(header.name.utf8)
            writer.add(header.value.utf8)
        }
        do {
            return try ring.seal(writer.bytes, at: place(entry.attempt))
        } catch {
            throw JournalError("a token response could not be sealed for the journal")
        }
    }

    func open(_ sealed: [UInt8], attempt: AttemptID) throws(JournalError) -> JournalEntry {
        let bytes: [UInt8]
        do {
            bytes = try ring.open(sealed, at: place(attempt))
        } catch {
            throw JournalError("journal entry \(attempt): \(error.description)")
        }
        guard let entry = Self.parse(bytes, attempt: attempt) else {
            throw JournalError("journal entry \(attempt) cannot be read by this version")
        }
        return entry
    }

    private static func parse(_ bytes: [UInt8], attempt: AttemptID) -> JournalEntry? {
        guard let fields = FieldWriter.fields(of: bytes, version: version), fields.count >= 8,
            fields.count.isMultiple(of: 2)
        else { return nil }
        func text(_ index: Int) -> String { String(decoding: fields[index], as: UTF8.self) }
        guard let account = try? AccountID(text(0)), let provider = try? ProviderName(text(1)),
            let generation = Int64(text(2)), let status = Int(text(5)), let requestedAt = Int64(text(6))
        else { return nil }
        let isRecovery = text(4) == "1"
        let headers = stride(from: 8, to: fields.count, by: 2).map {
            RawTokenResponse.Header(name: text($0), value: text($0 + 1))
        }
        return JournalEntry(
            account: account, provider: provider, attempt: attempt, generation: Generation(generation),
            spentRefreshToken: Secret(text(3)), isRecovery: isRecovery,
            response: RawTokenResponse(
                status: status, headers: headers, body: Array(fields[7]),
                requestedAt: WallTime(milliseconds: requestedAt), isReplay: isRecovery))
    }
}

/// Length-prefixed fields behind a version byte.
struct FieldWriter {
    private(set) var bytes: [UInt8]

    init(version: UInt8, capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
        bytes.append(version)
    }

    mutating func add(_ field: some Collection<UInt8>) {
        let count = UInt32(field.count)
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: count >> shift))
        }
        bytes.append(contentsOf: field)
    }

    /// Nil when `bytes` are of another version, or no whole fields.
    static func fields(of bytes: [UInt8], version: UInt8) -> [ArraySlice<UInt8>]? {
        guard bytes.first == version else { return nil }
        var fields: [ArraySlice<UInt8>] = []
        var rest = bytes.dropFirst()
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let count = Int(rest.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
            rest = rest.dropFirst(4)
            guard rest.count >= count else { return nil }
            fields.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return fields
    }
}
