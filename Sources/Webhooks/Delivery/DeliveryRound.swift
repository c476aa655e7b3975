import Logging
import RefreshCore

/// The work of a ``WebhookDispatcher`` during one reign: what each endpoint has read, still has to get, and has to have
/// written down.
struct DeliveryRound {
    private struct Line {
        let endpoint: WebhookEndpoint
        var queue: DeliveryQueue
        var status: DeliveryStatus
        /// By partition: read up to, and how many events had been appended by then.
        var read: [(position: FleetEvent.Position, ordinal: Int?)]
        /// Partitions with events that have not been read.
        var behind: Set<Int>
        /// Partitions whose progress has to be written down, and since when.
        var unsaved: [Int: MonotonicTime] = [:]
        /// The same of the status.
        var statusUnsaved: MonotonicTime?
        /// Whether forgetting it would cost more than another look: events were delivered or given up.
        var isUrgent = false

        var unsavedSince: MonotonicTime? { (unsaved.values.map { $0 } + [statusUnsaved].compactMap { $0 }).min() }
    }

    /// Partitions that may have new events.
    var toRead: Set<Int>
    private let dispatcher: WebhookDispatcher
    private var lines: [Line] = []
    private var lastLook: MonotonicTime
    private var lastRead: MonotonicTime?
    private var retryRead: MonotonicTime?
    private var retrySave: MonotonicTime?
    private static let page = 200
    private static let retryPause = Duration.seconds(1)

    private var time: any TimeSource { dispatcher.time }
    private var logger: Logger { dispatcher.logger }

    /// - Throws: ``StoreError`` when the store does not answer.
    init(dispatcher: WebhookDispatcher, seed: UInt64) async throws(StoreError) {
        self.dispatcher = dispatcher
        lastLook = dispatcher.time.monotonic()
        let partitions = dispatcher.events.partitions
        toRead = Set(0..<partitions)
        let statuses = try await dispatcher.store.statuses()
        for (number, endpoint) in dispatcher.endpoints.enumerated() {
            lines.append(
                Line(
                    endpoint: endpoint,
                    queue: DeliveryQueue(
                        maxAge: endpoint.maxAge, backoff: endpoint.backoff, seed: seed &+ UInt64(number)),
                    status: statuses[endpoint.name] ?? DeliveryStatus(), read: [], behind: []))
        }
        for index in lines.indices {
            guard let fingerprint = lines[index].status.goneWith else { continue }
            if fingerprint == lines[index].endpoint.fingerprint {
                lines[index].queue.setGone(true)
                logger.warning(
                    "webhook endpoint \(lines[index].endpoint.name) stays switched off: its receiver has answered 410 Gone"
                )
            } else {
                lines[index].status.goneWith = nil
                statusChanged(at: index, isUrgent: true)
            }
        }
        for partition in 0..<partitions { try await open(partition) }
    }

    private mutating func open(_ partition: Int) async throws(StoreError) {
        let known = try await dispatcher.store.progress(partition)
        var extent: EventStreamExtent?
        for index in lines.indices {
            guard let progress = known[lines[index].endpoint.name] else {
                // A new endpoint begins with what happens from now on, and that is written down at once.
                let now: EventStreamExtent
                if let extent { now = extent } else { now = try await dispatcher.events.extent(partition) }
                extent = now
                lines[index].read.append((now.last, now.appended))
                changed(partition, at: index)
                lines[index].isUrgent = true
                continue
            }
            lines[index].read.append((progress.read, progress.ordinal))
            lines[index].behind.insert(partition)
            guard !progress.open.isEmpty else { continue }
            let events = try await dispatcher.events.read(partition, at: progress.open.map(\.position))
            let byPosition = Dictionary(events.map { ($0.position, $0) }, uniquingKeysWith: { first, _ in first })
            for open in progress.open {
                if let event = byPosition[open.position] { lines[index].queue.add(event, as: open) }
            }
            let missing = progress.open.count { byPosition[$0.position] == nil }
            if missing > 0 { await lost(missing, at: index) }
        }
    }

    // MARK: Reading

    /// Reads what is new into the queues that have room for it.
    mutating func read(isSubscribed: Bool) async {
        let now = time.monotonic()
        if now >= lastLook + lookInterval(isSubscribed) {
            toRead.formUnion(0..<dispatcher.events.partitions)
            lastLook = now
        }
        for index in lines.indices { lines[index].behind.formUnion(toRead) }
        toRead = []
        guard lines.contains(where: { wantsToRead($0) }), now >= (readAllowedAt ?? now) else { return }
        lastRead = now
        retryRead = nil
        for partition in 0..<dispatcher.events.partitions {
            do throws(StoreError) {
                try await read(partition)
            } catch {
                retryRead = time.monotonic() + Self.retryPause
                logger.debug("webhooks: the events could not be read: \(error.message)")
            }
        }
    }

    private func lookInterval(_ isSubscribed: Bool) -> Duration {
        isSubscribed ? dispatcher.configuration.look : dispatcher.configuration.blindLook
    }

    private var readAllowedAt: MonotonicTime? {
        let gathered = lastRead.map { $0 + dispatcher.configuration.gather }
        guard let retryRead else { return gathered }
        return max(gathered ?? retryRead, retryRead)
    }

    private func wantsToRead(_ line: Line) -> Bool {
        !line.behind.isEmpty && line.queue.room > 0 && !line.queue.isGone
    }

    private mutating func read(_ partition: Int) async throws(StoreError) {
        var pages: [FleetEvent.Position: EventPage] = [:]
        for index in lines.indices {
            // Endpoints that are at the same place read together.
            while lines[index].behind.contains(partition), wantsToRead(lines[index]) {
                let place = lines[index].read[partition].position
                let page: EventPage
                if let known = pages[place] {
                    page = known
                } else {
                    page = try await dispatcher.events.read(partition, after: place, limit: Self.page)
                    pages[place] = page
                }
                try await take(page, of: partition, at: index)
            }
        }
    }

    private mutating func take(_ page: EventPage, of partition: Int, at index: Int) async throws(StoreError) {
        var (position, ordinal) = lines[index].read[partition]
        if page.mayHaveGap {
            let extent = try await dispatcher.events.extent(partition)
            if let appended = extent.appended, let cut = extent.cut, let known = ordinal {
                // More may have been cut since the page was read; that only makes this number too large.
                if cut > known { await lost(cut - known, at: index) }
                // Fewer were ever appended where a failover has lost some.
                ordinal = max(cut, min(known, appended))
            } else if let first = page.events.first?.position, first > position {
                // The server does not count: at least the one that was read last is gone, and maybe more.
                logger.warning(
                    "webhook endpoint \(lines[index].endpoint.name) may have missed events that were cut from the stream"
                )
            }
        }
        var taken = 0
        for event in page.events {
            guard lines[index].queue.room > 0 else { break }
            taken += 1
            position = event.position
            guard lines[index].endpoint.selection.includes(event) else { continue }
            lines[index].queue.add(event)
        }
        lines[index].read[partition] = (position, ordinal.map { $0 + taken })
        if taken > 0 { changed(partition, at: index) }
        if page.isLast, taken == page.events.count { lines[index].behind.remove(partition) }
    }

    private mutating func lost(_ count: Int, at index: Int) async {
        let name = lines[index].endpoint.name
        lines[index].status.lost += count
        statusChanged(at: index, isUrgent: true)
        logger.error(
            "webhook endpoint \(name) has missed \(count) events: they were cut from the stream (webhooks.lost)")
        await dispatcher.tellLost(name, count)
    }

    private mutating func changed(_ partition: Int, at index: Int) {
        lines[index].unsaved[partition] = lines[index].unsaved[partition] ?? time.monotonic()
    }

    private mutating func statusChanged(at index: Int, isUrgent: Bool) {
        lines[index].statusUnsaved = lines[index].statusUnsaved ?? time.monotonic()
        if isUrgent { lines[index].isUrgent = true }
    }

    // MARK: Sending

    mutating func start() -> [(endpoint: WebhookEndpoint, event: FleetEvent)] {
        let now = time.wall()
        var started: [(endpoint: WebhookEndpoint, event: FleetEvent)] = []
        for index in lines.indices {
            started += lines[index].queue.start(now: now).map { (lines[index].endpoint, $0) }
        }
        return started
    }

    mutating func finished(_ endpoint: String, _ id: String, _ result: DeliveryResult) async {
        guard let index = lines.firstIndex(where: { $0.endpoint.name == endpoint }),
            let event = lines[index].queue.event(id)
        else { return }
        let now = time.wall()
        let verdict = lines[index].queue.finished(id, result, now: now)
        changed(event.partition, at: index)
        statusChanged(at: index, isUrgent: verdict == .delivered || verdict == .gone)
        switch result {
        case .delivered:
            lines[index].status.lastSuccess = now.milliseconds
            lines[index].status.delivered += 1
        case .failed(let reason, _), .rejected(let reason):
            let isNew = lines[index].status.lastError != reason
            lines[index].status.lastError = reason
            lines[index].status.lastErrorAt = now.milliseconds
            logger.log(
                level: isNew ? .warning : .debug, "webhook endpoint \(endpoint) did not take an event: \(reason)",
                metadata: ["event": "\(id)", "type": "\(event.type)"])
        case .gone: break
        }
        switch verdict {
        case .delivered, .retry, .unknown: break
        case .dead(let reason, let tries): await bury(event, reason: reason, tries: tries, at: index)
        case .gone:
            lines[index].status.goneWith = lines[index].endpoint.fingerprint
            lines[index].status.lastError = "HTTP 410: switched off until its configuration changes"
            lines[index].status.lastErrorAt = now.milliseconds
            logger.error(
                "webhook endpoint \(endpoint) is switched off: its receiver has answered 410 Gone. Change its configuration (webhooks.\(endpoint)) to switch it on again"
            )
        }
    }

    private mutating func bury(_ event: FleetEvent, reason: String, tries: Int, at index: Int) async {
        let name = lines[index].endpoint.name
        do throws(StoreError) {
            try await dispatcher.store.bury(
                DeadLetter(id: "", endpoint: name, event: event, reason: reason, tries: tries, at: time.wall()))
        } catch {
            // It stays where it is, and is tried once more.
            logger.debug("webhooks: a dead letter could not be kept: \(error.message)")
            return
        }
        lines[index].queue.settle(event.id)
        lines[index].status.deadLetters += 1
        statusChanged(at: index, isUrgent: true)
        logger.error(
            "webhook endpoint \(name) has not taken an event, which is a dead letter now: \(reason)",
            metadata: ["event": "\(event.id)", "type": "\(event.type)", "tries": "\(tries)"])
    }

    // MARK: Writing down

    /// Writes down what has changed: at once when nothing is under way or the time is up, later otherwise.
    mutating func save(atOnce: Bool = false) async {
        let now = time.monotonic()
        if let retrySave, now < retrySave, !atOnce { return }
        guard let due = saveDue, atOnce || now >= due else { return }
        retrySave = nil
        var partitions = Set(lines.flatMap(\.unsaved.keys))
        if lines.contains(where: { $0.statusUnsaved != nil }) { partitions.insert(0) }
        for partition in partitions.sorted() {
            var progress: [String: DeliveryProgress] = [:]
            for line in lines where line.unsaved[partition] != nil {
                let (position, ordinal) = line.read[partition]
                progress[line.endpoint.name] = DeliveryProgress(
                    read: position, ordinal: ordinal, open: line.queue.open(partition))
            }
            var statuses: [String: DeliveryStatus] = [:]
            if partition == 0 {
                for line in lines where line.statusUnsaved != nil { statuses[line.endpoint.name] = line.status }
            }
            do throws(StoreError) {
                try await dispatcher.store.save(partition, progress: progress, statuses: statuses)
            } catch {
                retrySave = time.monotonic() + Self.retryPause
                logger.debug("webhooks: the progress could not be kept: \(error.message)")
                continue
            }
            for index in lines.indices {
                lines[index].unsaved[partition] = nil
                if partition == 0 { lines[index].statusUnsaved = nil }
                if lines[index].unsavedSince == nil { lines[index].isUrgent = false }
            }
        }
    }

    /// Nil when there is nothing to write down.
    private var saveDue: MonotonicTime? {
        var due: MonotonicTime?
        for line in lines {
            guard let since = line.unsavedSince else { continue }
            let limit = line.isUrgent ? dispatcher.configuration.saveWithin : dispatcher.configuration.noteWithin
            // While requests are under way there will soon be more to write down.
            let own = line.isUrgent && !line.queue.isBusy ? since : since + limit
            due = min(due ?? own, own)
        }
        return due
    }

    // MARK: Waiting

    func nextWake(isSubscribed: Bool) -> MonotonicTime {
        let (now, wall) = (time.monotonic(), time.wall())
        var next = lastLook + lookInterval(isSubscribed)
        for line in lines {
            if let start = line.queue.nextStart(now: wall) { next = min(next, now + max(start - wall, .zero)) }
        }
        if lines.contains(where: { wantsToRead($0) }) { next = min(next, max(readAllowedAt ?? now, now)) }
        if let due = saveDue { next = min(next, max(due, retrySave ?? due)) }
        // Never without a pause: two clocks that round differently would keep each other awake.
        return max(next, now + .milliseconds(1))
    }
}
