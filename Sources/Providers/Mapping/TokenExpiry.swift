import JSONText
import RefreshCore

/// When an access token ends: the first of `expires_in`, `expires_at`, the token's own `exp` claim and the configured
/// life that makes sense. A time that is not after the request makes none, since nobody issues expired tokens: it is a
/// wrong clock or a placeholder, and taking it at its word would refresh without end.
///
/// Except in the answer to a re-send: there the provider may hand out once more what it issued the first time, whose end
/// is near or past, and no other time may make such a token look alive.
enum TokenExpiry {
    /// No token counts as living longer than this.
    static let longest: Duration = .seconds(10 * 366 * 86_400)

    static func of(
        _ answer: TokenAnswer, accessToken: String, requestedAt: WallTime, isReplay: Bool, defaultLifetime: Duration
    ) -> WallTime {
        read(
            answer, accessToken: accessToken, requestedAt: requestedAt, isReplay: isReplay,
            defaultLifetime: defaultLifetime
        ).time
    }

    /// The same, and in words where it was found.
    static func read(
        _ answer: TokenAnswer, accessToken: String, requestedAt: WallTime, isReplay: Bool, defaultLifetime: Duration
    ) -> (time: WallTime, source: String) {
        let mapping = answer.mapping
        if isReplay {
            for source in mapping.expiresIn {
                guard let seconds = seconds(source, in: answer) else { continue }
                if seconds <= 0 { return (requestedAt, "\(source.pointer)") }
                break
            }
        }
        let latest = requestedAt + longest
        let isUsable: (WallTime) -> Bool = { $0 > requestedAt || isReplay }
        for source in mapping.expiresIn {
            guard let lifetime = lifetime(source, in: answer), isUsable(requestedAt + lifetime) else { continue }
            return (min(requestedAt + lifetime, latest), "\(source.pointer)")
        }
        for source in mapping.expiresAt {
            guard let time = instant(source, in: answer), isUsable(time) else { continue }
            return (min(time, latest), "\(source.pointer)")
        }
        if let time = JSONWebToken.expiry(of: accessToken), isUsable(time) {
            return (min(time, latest), "exp of the access token")
        }
        return (requestedAt + defaultLifetime, "default_lifetime")
    }

    /// When the grant ends that the tokens came from; nil where the answer does not say, or says never (0, or beyond
    /// ``longest``).
    static func ofGrant(_ answer: TokenAnswer, requestedAt: WallTime) -> WallTime? {
        let latest = requestedAt + longest
        let spans = answer.mapping.refreshExpiresIn.lazy.compactMap {
            lifetime($0, in: answer).map { requestedAt + $0 }
        }
        let times = answer.mapping.refreshExpiresAt.lazy.compactMap { instant($0, in: answer) }
        let isUsable: (WallTime) -> Bool = { $0 > requestedAt }
        guard let time = spans.first(where: isUsable) ?? times.first(where: isUsable), time < latest else { return nil }
        return time
    }

    /// A span in seconds, whatever its sign; nil for what is no finite number.
    private static func seconds(_ source: ResponseMapping.TimeSource, in answer: TokenAnswer) -> Double? {
        guard let number = source.pointer.value(in: answer.document)?.looseNumber else { return nil }
        return source.unit == .milliseconds ? number / 1000 : number
    }

    private static func lifetime(_ source: ResponseMapping.TimeSource, in answer: TokenAnswer) -> Duration? {
        guard let seconds = seconds(source, in: answer), seconds > 0 else { return nil }
        return .milliseconds(Int64(min(seconds, longest.inSeconds) * 1000))
    }

    private static func instant(_ source: ResponseMapping.TimeSource, in answer: TokenAnswer) -> WallTime? {
        guard let value = source.pointer.value(in: answer.document) else { return nil }
        switch source.unit {
        case .jwt: return value.nonEmptyText.flatMap { JSONWebToken.expiry(of: $0) }
        case .iso8601: return value.nonEmptyText.flatMap { Timestamp.rfc3339($0) }
        case .auto:
            if let text = value.nonEmptyText, let time = Timestamp.rfc3339(text) { return time }
            guard let number = value.looseNumber, number > 0 else { return nil }
            // As seconds this is in the year 5138, as milliseconds in 1973.
            return WallTime(seconds: number > 1e11 ? number / 1000 : number)
        case .seconds, .milliseconds:
            guard let number = value.looseNumber, number > 0 else { return nil }
            return WallTime(seconds: source.unit == .milliseconds ? number / 1000 : number)
        }
    }
}

extension JSONValue {
    /// A finite number, or a text that is one.
    fileprivate var looseNumber: Double? {
        let number: Double?
        switch self {
        case .integer(let whole): number = Double(whole)
        case .number(let value): number = value
        case .string(let text): number = text.utf8.count <= 64 ? Double(text) : nil
        default: number = nil
        }
        return number.flatMap { $0.isFinite ? $0 : nil }
    }
}
