/// How many refreshes a provider takes in a time, over the whole fleet.
///
/// Counted by GCRA, the leaky bucket as a meter (ITU-T I.371 Annex A): up to ``burst`` may go at once after a rest, and
/// the others follow at even distances, so that no span of ``per`` sees more than ``requests``.
public struct RateLimit: Sendable, Hashable {
    /// At least 1.
    public var requests: Int
    /// Longer than zero.
    public var per: Duration
    /// From 1 to ``requests``.
    public var burst: Int

    /// - Parameter burst: nil means a tenth of `requests`, which leaves nine tenths of the rate to what comes evenly.
    public init(requests: Int, per: Duration, burst: Int? = nil) {
        self.requests = max(1, requests)
        self.per = max(per, .milliseconds(1))
        self.burst = min(max(1, burst ?? requests / 10), self.requests)
    }

    /// The distance of refreshes that follow each other evenly, in microseconds, rounded up. What a burst takes is
    /// missing from the rest of the span.
    public var intervalMicroseconds: Int64 {
        let parts = Int64(requests - burst + 1)
        return max(1, (per.wholeMilliseconds &* 1000 + parts - 1) / parts)
    }

    /// How far ahead of an even flow a burst may be, in microseconds.
    public var toleranceMicroseconds: Int64 { intervalMicroseconds &* Int64(burst - 1) }
}

/// How much of a rate limit is used up: the state that a store keeps for a provider, and what is decided with it.
///
/// `begin.lua` does the same; the model of the store runs this.
public struct RateBucket: Sendable, Hashable {
    /// The time at which an even flow would have got to where the refreshes are, in microseconds since 1970.
    public private(set) var arrival: Int64
    /// Up to this time slots are promised to callers who wait, in microseconds since 1970.
    public private(set) var promised: Int64

    public init(arrival: Int64 = 0, promised: Int64 = 0) {
        self.arrival = arrival
        self.promised = promised
    }

    public enum Decision: Sendable, Hashable {
        /// A slot was free, and is taken.
        case taken
        /// None before this time; with a promise where the caller may count on it.
        case wait(until: WallTime, isPromised: Bool)
    }

    /// Slots are promised for as long as this: less than a flight waits.
    public static let longestPromise = Duration.seconds(60)
    /// A time further ahead than a bucket can be was written by a clock that has been set back, or under another limit.
    static let tolerance = Duration.seconds(5)

    /// Takes a slot, or says when one will be free.
    ///
    /// - Parameter isUrgent: a caller waits and has no token: goes before those whose tokens still last, and is promised
    ///   the slot it is told of.
    public mutating func take(_ limit: RateLimit, now: WallTime, isUrgent: Bool) -> Decision {
        let (interval, burst) = (limit.intervalMicroseconds, limit.toleranceMicroseconds)
        let now = now.milliseconds &* 1000
        let slack = Self.tolerance.wholeMilliseconds * 1000
        let horizon = Self.longestPromise.wholeMilliseconds * 1000
        if arrival > now + burst + interval + slack { arrival = now }
        if promised > now + horizon + interval + slack { promised = now }
        arrival = max(arrival, now)
        let base = isUrgent ? arrival : max(arrival, promised)
        if base - now <= burst {
            arrival += interval
            return .taken
        }
        var slot = base - burst
        guard isUrgent else { return .wait(until: Self.time(slot), isPromised: false) }
        slot = max(slot, promised)
        let isPromised = slot - now <= horizon
        if isPromised { promised = slot + interval }
        return .wait(until: Self.time(slot), isPromised: isPromised)
    }

    /// In milliseconds, rounded up: earlier there is no slot.
    private static func time(_ microseconds: Int64) -> WallTime {
        WallTime(milliseconds: (microseconds + 999) / 1000)
    }
}
