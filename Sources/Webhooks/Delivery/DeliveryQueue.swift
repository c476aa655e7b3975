import RefreshCore

/// What one endpoint still has to get, as a pure state machine: which event is tried when, what waits behind it, and
/// when to give up.
///
/// Events of an account go out in order, so one that fails holds back later ones of the same account and nobody else's.
/// When tries fail one after the other, whatever they are about, the receiver itself is taken to be down and is asked one
/// request at a time. All times are on the fleet's wall clock, because they outlive the process.
public struct DeliveryQueue: Sendable {
    /// Events that are held at once; more stay in the stream.
    public static let capacity = 1000
    /// Requests under way at once.
    static let maxConcurrent = 4
    /// Tries of an event that the receiver understands and refuses.
    static let maxRejections = 5
    /// Failures in a row after which the receiver counts as down.
    static let downAfter = 3
    /// The longest pause that a receiver can ask for.
    static let longestPause = Duration.seconds(3600)

    /// Events that keep their order: those of an account, or of a topic such as `provider`.
    struct Lane: Hashable, Sendable {
        var partition: Int
        var name: String

        init(_ event: FleetEvent) {
            partition = event.partition
            name = event["account"].map { "account \($0)" } ?? String(event.type.prefix { $0 != "." })
        }
    }

    struct Item: Sendable {
        var event: FleetEvent
        var tries = 0
        var rejections = 0
        var nextTry: WallTime?
        var isUnderWay = false
    }

    /// What a try has led to.
    public enum Verdict: Sendable, Hashable {
        case delivered
        case retry(at: WallTime)
        /// Given up: to be buried, and settled by ``settle(_:)`` after that.
        case dead(reason: String, tries: Int)
        case gone
        /// Nobody waits for the result any more.
        case unknown
    }

    private let maxAge: Duration
    private let backoff: WebhookEndpoint.Backoff
    private var generator: SplitMix64
    private var items: [String: Item] = [:]
    private var lanes: [Lane: [String]] = [:]
    private var underWay = 0
    private var failuresInARow = 0
    private var lastStart: WallTime?
    private var pausedUntil: WallTime?
    public private(set) var isGone = false

    public init(maxAge: Duration, backoff: WebhookEndpoint.Backoff, seed: UInt64) {
        self.maxAge = maxAge
        self.backoff = backoff
        generator = SplitMix64(seed: seed)
    }

    // MARK: What there is

    public var count: Int { items.count }
    /// How many more events it takes.
    public var room: Int { max(0, Self.capacity - items.count) }
    public var isBusy: Bool { underWay > 0 }
    var isDown: Bool { failuresInARow >= Self.downAfter }

    public func event(_ id: String) -> FleetEvent? { items[id]?.event }

    /// In the order of the stream.
    public func open(_ partition: Int) -> [DeliveryProgress.Open] {
        items.values.filter { $0.event.partition == partition }
            .map { .init(position: $0.event.position, tries: $0.tries, nextTry: $0.nextTry?.milliseconds) }
            .sorted { $0.position < $1.position }
    }

    // MARK: What comes in

    /// In the order of the stream.
    public mutating func add(_ event: FleetEvent, as open: DeliveryProgress.Open? = nil) {
        guard items[event.id] == nil else { return }
        items[event.id] = Item(
            event: event, tries: open?.tries ?? 0, nextTry: open?.nextTry.map { WallTime(milliseconds: $0) })
        lanes[Lane(event), default: []].append(event.id)
    }

    /// The event needs no more attention.
    public mutating func settle(_ id: String) {
        guard let item = items.removeValue(forKey: id) else { return }
        if item.isUnderWay { underWay -= 1 }
        let lane = Lane(item.event)
        lanes[lane]?.removeAll { $0 == id }
        if lanes[lane]?.isEmpty == true { lanes[lane] = nil }
    }

    // MARK: What goes out

    /// Events to send now; each is followed by ``finished(_:_:now:)``.
    public mutating func start(now: WallTime) -> [FleetEvent] {
        var started: [FleetEvent] = []
        while let id = nextID(now: now) {
            items[id]?.isUnderWay = true
            underWay += 1
            lastStart = now
            if let event = items[id]?.event { started.append(event) }
        }
        return started
    }

    private func nextID(now: WallTime) -> String? {
        guard !isGone, underWay < (isDown ? 1 : Self.maxConcurrent) else { return nil }
        if let earliest = earliestStart, now < earliest, !isBeyond(earliest, now) { return nil }
        // Of those that are due the one that was never tried or waited longest, and of these the oldest.
        var best: Item?
        for lane in lanes.values {
            guard let id = lane.first, let item = items[id], !item.isUnderWay, isDue(item, now) else { continue }
            if let current = best, !(Self.order(item) < Self.order(current)) { continue }
            best = item
        }
        return best?.event.id
    }

    private static func order(_ item: Item) -> (Int64, Int64, Int) {
        (item.nextTry?.milliseconds ?? 0, item.event.at.milliseconds, item.event.partition)
    }

    private func isDue(_ item: Item, _ now: WallTime) -> Bool {
        guard let next = item.nextTry else { return true }
        return now >= next || isBeyond(next, now)
    }

    /// Later than any pause can end: the clock has been set back.
    private func isBeyond(_ time: WallTime, _ now: WallTime) -> Bool {
        time > now + max(backoff.cap, Self.longestPause) + .seconds(1)
    }

    /// Before this nothing is sent at all: asked for by the receiver, or because it is down.
    private var earliestStart: WallTime? {
        var earliest = pausedUntil
        if isDown, let lastStart {
            let probe = lastStart + min(backoff.base, .seconds(5))
            earliest = max(earliest ?? probe, probe)
        }
        return earliest
    }

    /// When ``start(now:)`` has something to do again, unless something comes in before; nil: not before that.
    public func nextStart(now: WallTime) -> WallTime? {
        guard !isGone, underWay < (isDown ? 1 : Self.maxConcurrent) else { return nil }
        var next: WallTime?
        for lane in lanes.values {
            guard let id = lane.first, let item = items[id], !item.isUnderWay else { continue }
            let at = isDue(item, now) ? now : item.nextTry ?? now
            next = min(next ?? at, at)
        }
        guard let next else { return nil }
        guard let earliest = earliestStart, !isBeyond(earliest, now) else { return next }
        return max(next, earliest)
    }

    /// What came of an event that ``start(now:)`` has given out.
    public mutating func finished(_ id: String, _ result: DeliveryResult, now: WallTime) -> Verdict {
        guard var item = items[id], item.isUnderWay else { return .unknown }
        item.isUnderWay = false
        underWay -= 1
        item.tries += 1
        items[id] = item
        switch result {
        case .delivered:
            settle(id)
            if isDown { wakeAll(now: now) }
            failuresInARow = 0
            // A request that was under way already does not cut short what the receiver has asked for since.
            if let until = pausedUntil, until <= now { pausedUntil = nil }
            return .delivered
        case .gone:
            isGone = true
            return .gone
        case .rejected(let reason):
            item.rejections += 1
            failuresInARow = 0
            guard item.rejections < Self.maxRejections else {
                return hold(item, .dead(reason: reason, tries: item.tries), now: now)
            }
            return retry(item, reason, after: nil, now: now)
        case .failed(let reason, let retryAfter):
            failuresInARow += 1
            if let retryAfter {
                let until = now + min(max(retryAfter, .zero), Self.longestPause)
                pausedUntil = max(pausedUntil ?? until, until)
            }
            return retry(item, reason, after: retryAfter, now: now)
        }
    }

    private mutating func retry(
        _ item: Item, _ reason: String, after retryAfter: Duration?, now: WallTime
    ) -> Verdict {
        guard now - item.event.at < maxAge else {
            return hold(item, .dead(reason: reason, tries: item.tries), now: now)
        }
        let pause = backoff.pause(after: item.tries, using: &generator)
        let next = now + max(pause, min(retryAfter ?? .zero, Self.longestPause))
        var item = item
        item.nextTry = next
        items[item.event.id] = item
        return .retry(at: next)
    }

    /// Not tried again while it is being buried; should that fail, it is tried once more after a while.
    private mutating func hold(_ item: Item, _ verdict: Verdict, now: WallTime) -> Verdict {
        var item = item
        item.nextTry = now + backoff.base
        items[item.event.id] = item
        return verdict
    }

    /// The receiver is back: what waited for it goes out soon, a little spread.
    private mutating func wakeAll(now: WallTime) {
        for id in items.keys.sorted() where items[id]?.nextTry != nil && items[id]?.rejections == 0 {
            items[id]?.nextTry = now + .milliseconds(Int64.random(in: 0...1000, using: &generator))
        }
    }

    /// The receiver's configuration is new: it may take events again.
    public mutating func setGone(_ isGone: Bool) { self.isGone = isGone }
}
