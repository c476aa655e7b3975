import RedisClient
import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An entry of an account's list of orphans: a line of words, and the tokens sealed behind them.
///
/// The words are "attempt generation kept_at cause origin provider newest"; older versions wrote the first three only.
struct OrphanRecord {
    var orphan: Orphan
    var sealed: [UInt8]

    /// The sealed part.
    struct Contents: Codable {
        var accessToken: String
        var refreshToken: String
        var tokenType: String
        /// Milliseconds on the fleet's clock; absent with no access token.
        var expiresAt: Int64?
        /// Not written by older versions.
        var obtainedAt: Int64?
    }

    private static let space = UInt8(ascii: " ")

    /// Nil for what is no entry of this or an older version.
    init?(_ bytes: [UInt8], account: AccountID, ring: KeyRing) {
        var rest = bytes[...]
        func word() -> String? {
            guard let end = rest.firstIndex(of: Self.space) else { return nil }
            defer { rest = rest[(end + 1)...] }
            return String(decoding: rest[..<end], as: UTF8.self)
        }
        guard let attempt = word(), !attempt.isEmpty, let generation = word().flatMap({ Int64($0) }),
            let keptAt = word().flatMap({ Int64($0) })
        else { return nil }
        orphan = Orphan(
            attempt: AttemptID(rawValue: attempt), generation: Generation(generation),
            keptAt: WallTime(milliseconds: keptAt))
        // A sealed value begins with its version byte, which no word does.
        if let first = rest.first, first >= UInt8(ascii: "a") {
            guard let cause = word(), let origin = word(), let provider = word(), let newest = word() else {
                return nil
            }
            orphan.cause = Orphan.Cause(rawValue: cause)
            orphan.origin = try? InstanceID(origin)
            orphan.provider = try? ProviderName(provider)
            orphan.newest = Int64(newest).map { Generation($0) }
        }
        sealed = Array(rest)
        if let contents = try? open(account: account, ring: ring) {
            orphan.canBeOpened = true
            orphan.expiresAt = contents.expiresAt.map { WallTime(milliseconds: $0) }
        }
    }

    /// - Throws: ``StoreError`` with code `sealing` when the tokens cannot be opened with the keys at hand.
    func open(account: AccountID, ring: KeyRing) throws(StoreError) -> Contents {
        let bytes: [UInt8]
        do {
            bytes = try ring.open(sealed, at: Self.place(account, orphan.generation))
        } catch {
            throw StoreError(.sealing, "orphan \(orphan.attempt) of account \(account): \(error.description)")
        }
        do {
            return try JSONDecoder().decode(Contents.self, from: Data(bytes))
        } catch {
            throw StoreError(.corrupt, "orphan \(orphan.attempt) of account \(account) cannot be read by this version")
        }
    }

    static func seal(
        _ contents: Contents, account: AccountID, generation: Generation, ring: KeyRing
    ) throws(StoreError) -> [UInt8] {
        do {
            return try ring.seal(Array(try JSONEncoder().encode(contents)), at: place(account, generation))
        } catch {
            throw StoreError(.sealing, "an orphaned token response could not be sealed")
        }
    }

    private static func place(_ account: AccountID, _ generation: Generation) -> KeyRing.Place {
        .init(account: account, field: "orphan", generation: generation)
    }
}

extension OrphanRecord.Contents {
    init(_ request: CommitRequest) {
        self.init(
            accessToken: request.accessToken.reveal(), refreshToken: request.refreshToken.reveal(),
            tokenType: request.tokenType, expiresAt: request.expiresAt.milliseconds,
            obtainedAt: request.obtainedAt.milliseconds)
    }
}
