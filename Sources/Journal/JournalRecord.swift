import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One record of a journal file: a length, a checksum, a kind and what it says.
///
/// Layout (integers big-endian): 4 bytes length of kind and payload, 4 bytes CRC-32 of them, 1 byte kind, payload.
/// A crash in the middle of a write leaves a record whose length or checksum does not fit; reading stops there.
enum JournalRecord {
    /// A token response: the attempt id's length and bytes, then the sealed entry.
    case response(AttemptID, sealed: [UInt8])
    /// The answer of that attempt is in the store.
    case released(AttemptID)

    private static let responseKind: UInt8 = 1
    private static let releasedKind: UInt8 = 2
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
        }
        return Self.bytes(UInt32(body.count)) + Self.bytes(CRC32.checksum(body)) + body
    }

    /// Reads records from the start of `bytes`; returns them and how many bytes were whole records.
    static func decode(_ bytes: [UInt8]) -> (records: [JournalRecord], consumed: Int) {
        var records: [JournalRecord] = []
        var offset = 0
        while offset + 8 <= bytes.count {
            let length = Int(number(bytes, at: offset))
            guard length > 0, length <= largest, offset + 8 + length <= bytes.count else { break }
            let body = Array(bytes[(offset + 8)..<(offset + 8 + length)])
            guard CRC32.checksum(body) == number(bytes, at: offset + 4), let record = decodeBody(body) else { break }
            records.append(record)
            offset += 8 + length
        }
        return (records, offset)
    }

    private static func decodeBody(_ body: [UInt8]) -> JournalRecord? {
        switch body.first {
        case responseKind:
            guard body.count >= 2, body.count >= 2 + Int(body[1]) else { return nil }
            let name = String(decoding: body[2..<(2 + Int(body[1]))], as: UTF8.self)
            return .response(AttemptID(rawValue: name), sealed: Array(body[(2 + Int(body[1]))...]))
        case releasedKind:
            return .released(AttemptID(rawValue: String(decoding: body.dropFirst(), as: UTF8.self)))
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

/// How an entry is written inside its seal.
struct JournalEntryCodec {
    private struct Form: Codable {
        var account: String
        var provider: String
        var generation: Int64
        var spent: String
        var recovery: Bool
        var status: Int
        var headers: [RawTokenResponse.Header]
        var body: Data
        var requestedAt: Int64
    }

    let ring: KeyRing

    private func place(_ attempt: AttemptID) -> KeyRing.Place { .init(purpose: "journal \(attempt.rawValue)") }

    func seal(_ entry: JournalEntry) throws(JournalError) -> [UInt8] {
        let form = Form(
            account: entry.account.rawValue, provider: entry.provider.rawValue, generation: entry.generation.rawValue,
            spent: entry.spentRefreshToken.reveal(), recovery: entry.isRecovery, status: entry.response.status,
            headers: entry.response.headers, body: Data(entry.response.body),
            requestedAt: entry.response.requestedAt.milliseconds)
        do {
            return try ring.seal(Array(JSONEncoder().encode(form)), at: place(entry.attempt))
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
        guard let form = try? JSONDecoder().decode(Form.self, from: Data(bytes)),
            let account = try? AccountID(form.account), let provider = try? ProviderName(form.provider)
        else { throw JournalError("journal entry \(attempt) cannot be read by this version") }
        return JournalEntry(
            account: account, provider: provider, attempt: attempt, generation: Generation(form.generation),
            spentRefreshToken: Secret(form.spent), isRecovery: form.recovery,
            response: RawTokenResponse(
                status: form.status, headers: form.headers, body: Array(form.body),
                requestedAt: WallTime(milliseconds: form.requestedAt), isReplay: form.recovery))
    }
}
