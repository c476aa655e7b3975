/// What cools down: an account, or the use of it for one model or scope.
public struct CooldownKey: Sendable, Hashable, Comparable {
    public var account: AccountID
    /// Nil: whatever it is used for.
    public var dimension: String?

    /// - Parameter dimension: an empty one is none; of one that is longer than ``PoolRequest/maximumDimension`` its beginning
    ///   counts.
    public init(account: AccountID, dimension: String? = nil) {
        self.account = account
        let dimension = dimension?.prefix(bytes: PoolRequest.maximumDimension)
        self.dimension = dimension?.isEmpty == true ? nil : dimension
    }

    public static func < (lhs: CooldownKey, rhs: CooldownKey) -> Bool {
        (lhs.account, lhs.dimension ?? "") < (rhs.account, rhs.dimension ?? "")
    }
}

/// A time during which an account is not picked, shared by all instances; afterwards what is remembered of it, so that a
/// repetition takes longer. All times are on the fleet's clock.
public struct Cooldown: Sendable, Hashable {
    public var key: CooldownKey
    public var since: WallTime
    public var until: WallTime
    /// How many in a row, with no success in between; at least 1.
    public var repeats: Int
    /// Whether its end was said by the provider or by a person.
    public var isTold: Bool
    /// The one try that was allowed before its end.
    public var probe: AttemptID?
    public var cause: String

    public init(
        key: CooldownKey, since: WallTime, until: WallTime, repeats: Int = 1, isTold: Bool = false,
        probe: AttemptID? = nil, cause: String = ""
    ) {
        self.key = key
        self.since = since
        self.until = until
        self.repeats = repeats
        self.isTold = isTold
        self.probe = probe
        self.cause = cause
    }

    /// One that has begun in the future does not: somebody has set a clock back since.
    public func isRunning(at now: WallTime) -> Bool { now < until && since <= now + AccountSnapshot.clockTolerance }

    /// Whether it is of an earlier account of that name, which was removed before this one was added.
    public func isOfAnother(since added: WallTime) -> Bool { since + AccountSnapshot.clockTolerance < added }

    /// Whether its account may be tried before its end, once: its length is a guess, and half of it is over.
    public func allowsProbe(at now: WallTime) -> Bool {
        isRunning(at: now) && !isTold && probe == nil && now - since >= (until - since) / 2
    }
}

/// That an account is to cool down.
public struct CooldownOrder: Sendable, Hashable {
    public var pool: PoolName
    public var key: CooldownKey
    /// When the provider or a person says that it is over; nil for the default, which grows. One that is past says nothing.
    public var until: WallTime?
    /// What a first one takes by default.
    public var first: Duration
    /// What the default grows to.
    public var longest: Duration
    /// From now, whatever is said.
    public var limit: Duration
    /// On one line, at most ``PoolReport/maximumCause`` bytes.
    public private(set) var cause: String
    /// Whether an end that is told may come before one that was guessed: of a used up quota, not of too many calls in too
    /// short a time, which says nothing about the quota.
    public var mayShorten = true
    /// A person says so: whatever runs, and whatever is remembered, gives way.
    public var replaces = false
    /// When the account was added: what cooled down earlier was another one of that name.
    public var accountSince: WallTime?
    /// The end that was guessed when the store could not be told; nil where it is to be guessed now.
    public var guess: WallTime?

    public init(
        pool: PoolName, key: CooldownKey, until: WallTime? = nil, first: Duration, longest: Duration, limit: Duration,
        cause: String
    ) {
        self.pool = pool
        self.key = key
        self.until = until
        self.first = first
        self.longest = longest
        self.limit = limit
        let line = cause.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }
        self.cause = String(String.UnicodeScalarView(line)).prefix(bytes: PoolReport.maximumCause)
    }

    /// No cool-down is shorter.
    public static let shortest = Duration.seconds(1)
    /// Ends that are told and not further apart are the same: each call of a burst reads another clock.
    public static let slack = Duration.seconds(1)

    /// What becomes of `old`: the rule that the store follows, for while it cannot be asked.
    ///
    /// What is reported of a running one is the same quota again, told by a call that began before: it repeats nothing. An
    /// end that is told counts before a default, and where it is later than another one; a default, where it is longer than
    /// another one.
    public func apply(to old: Cooldown?, now: WallTime) -> Cooldown {
        var old = replaces ? nil : old
        if let cooldown = old, let accountSince, cooldown.isOfAnother(since: accountSince) { old = nil }
        let told = until.flatMap { $0 > now ? min(max($0, now + Self.shortest), now + limit) : nil }
        if var running = old, running.isRunning(at: now) {
            if let told {
                guard told > running.until + (running.isTold ? Self.slack : .zero) || !running.isTold && mayShorten
                else { return running }
                (running.until, running.isTold, running.cause) = (told, true, cause)
            } else {
                let end = guess ?? running.since + length(running.repeats)
                guard !running.isTold, end > running.until, end > now else { return running }
                (running.until, running.cause) = (min(end, now + limit), cause)
            }
            return running
        }
        let repeats = min((old?.repeats ?? 0) + 1, Self.mostRepeats)
        let end = guess.map { min(max($0, now + Self.shortest), now + limit) } ?? now + length(repeats)
        return Cooldown(
            key: key, since: now, until: told ?? end, repeats: repeats, isTold: told != nil, cause: cause)
    }

    /// More are not counted.
    static let mostRepeats = 1000

    /// By default.
    private func length(_ repeats: Int) -> Duration {
        let length = min(first * Int(1 << min(repeats - 1, 20)), max(longest, first))
        return min(max(length, Self.shortest), limit)
    }
}

/// What instances tell each other of the cool-downs of a pool.
public enum CooldownChange: Sendable, Hashable {
    /// Begun, or changed.
    case set(Cooldown)
    /// Over, and its repetitions forgotten.
    case ended(CooldownKey)

    public var key: CooldownKey {
        switch self {
        case .set(let cooldown): cooldown.key
        case .ended(let key): key
        }
    }
}

extension String {
    /// Its beginning, cut between two characters.
    fileprivate func prefix(bytes: Int) -> String {
        guard utf8.count > bytes else { return self }
        var text = ""
        for character in self {
            guard text.utf8.count + character.utf8.count <= bytes else { break }
            text.append(character)
        }
        return text
    }
}
