import CCurl
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One thread around one libcurl multi handle, whose sockets it watches by epoll(7): a thousand streams on which nothing
/// happens cost nothing, which is not so with curl_multi_perform.
// @unchecked: the multi handle, the easy handles and the transfers under way are touched by the loop's thread only.
// The one call from elsewhere, ccurl_watcher_wake, is made for that, and the mailbox's lock keeps it from coming after
// the end.
final class CurlLoop: @unchecked Sendable {
    private static let globalInit: Int32 = ccurl_global_init()

    private let multi: UnsafeMutableRawPointer
    private let watcher: ccurl_watcher
    private var ready = [ccurl_ready](repeating: ccurl_ready(), count: 128)
    private let mailbox: Mailbox
    private let configuration: CurlClientConfiguration
    /// By easy handle. Holds the transfers for the callbacks.
    private var running: [UnsafeMutableRawPointer: Transfer] = [:]
    private let desk = NewsDesk()
    private var idle: [EasyHandle] = []
    /// Handles weigh some 5 KiB each; a burst needs not keep them all.
    private static let maxIdleHandles = 64

    /// When to look for transfers whose time is over; nil if there are none.
    private var nextSweep: ContinuousClock.Instant?
    /// For connections libcurl comes first, because it knows better what the transfer was waiting for.
    private static let sweepSlack = Duration.milliseconds(20)

    /// Starts the thread. nil if libcurl or the system refuses.
    init?(_ configuration: CurlClientConfiguration) {
        var watcher = ccurl_watcher()
        guard Self.globalInit == 0, ccurl_watcher_open(&watcher) else { return nil }
        guard let multi = ccurl_multi_new() else {
            ccurl_watcher_close(&watcher)
            return nil
        }
        self.multi = multi
        self.watcher = watcher
        self.configuration = configuration
        mailbox = Mailbox { [watcher] in withUnsafePointer(to: watcher) { ccurl_watcher_wake($0) } }

        for (option, value) in [
            (CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX)),
            (CURLMOPT_MAX_TOTAL_CONNECTIONS, max(0, configuration.maxConnections)),
            (CURLMOPT_MAX_HOST_CONNECTIONS, max(0, configuration.maxConnectionsPerHost)),
            (CURLMOPT_MAXCONNECTS, max(1, configuration.maxIdleConnections)),
        ] {
            _ = ccurl_multi_set_long(multi, option, value)
        }
        guard ccurl_multi_watch(multi, &watcher) == 0, startThread() else {
            _ = ccurl_multi_free(multi)
            ccurl_watcher_close(&watcher)
            return nil
        }
    }

    func submit(_ transfer: Transfer) {
        if !mailbox.submit(transfer) { transfer.fail(.shutDown, "the client is shut down") }
    }

    /// Takes effect wherever the transfer is by now, also if it is yet to be submitted.
    func cancel(_ transfer: Transfer) {
        transfer.isCancelled.store(true, ordering: .releasing)
        mailbox.cancel(transfer)
    }

    /// For a transfer whose reader or writer has made room: see ``Transfer/attend()``.
    func nudge(_ transfer: Transfer) {
        mailbox.nudge(transfer)
    }

    func shutDown() async {
        await mailbox.shutDown()
    }

    private func startThread() -> Bool {
        let context = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<CurlLoop>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    // MARK: On the loop's thread

    private func run() {
        ccurl_name_thread("curl")
        // With CURLOPT_NOSIGNAL libcurl leaves SIGPIPE alone, and OpenSSL raises it on a connection that has gone.
        // Blocked here it does no harm, and no handler of the process ever runs on this thread.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)

        while true {
            let delivery = mailbox.take()
            for transfer in delivery.submissions { start(transfer) }
            for transfer in delivery.cancellations { stop(transfer, failing: .cancelled, "cancelled") }
            for transfer in delivery.nudges { end(transfer, transfer.attend()) }
            if delivery.isClosing { break }
            // Taken first: a process that was stopped for longer than a deadline finds the response in its sockets, and
            // what libcurl can read of it now is not too late.
            let now = ContinuousClock.now
            handle(wait(0))
            collect()
            sweep(now)
            deliver(now)
            if mailbox.mayFallAsleep() { handle(wait(pollTimeout())) }
        }
        end()
    }

    private func wait(_ milliseconds: Int32) -> Int {
        let count = withUnsafePointer(to: watcher) { ccurl_watcher_wait($0, &ready, 128, milliseconds) }
        // Out of memory: go on by looking now and then.
        if count < 0 { usleep(10_000) }
        return max(0, Int(count))
    }

    /// Lets libcurl go on where something has happened or is due.
    private func handle(_ count: Int) {
        for event in ready[..<count] { _ = ccurl_multi_ready(multi, event) }
        if ccurl_multi_time_left(multi) == 0 { _ = ccurl_multi_expire(multi) }
    }

    private func start(_ transfer: Transfer) {
        let now = ContinuousClock.now
        if transfer.isCancelled.load(ordering: .acquiring) {
            return transfer.fail(.cancelled, "cancelled")
        }
        (transfer as? StreamTransfer)?.desk = desk
        if let deadline = transfer.deadline, now >= deadline {
            return transfer.fail(.timeout, "no time was left to begin")
        }
        if let sendBy = transfer.request.sendBy, now >= sendBy {
            return transfer.fail(.sendByMissed, "the instant to send by had already passed")
        }
        guard let easy = idle.popLast() ?? EasyHandle() else {
            return transfer.fail(.other, "libcurl could not make a handle")
        }
        let refused = easy.prepare(for: transfer, now: now, configuration: configuration)
        guard refused == 0 else {
            recycle(easy)
            return transfer.fail(
                .other, "libcurl refuses the request: \(String(cString: ccurl_strerror(refused)))",
                curlCode: refused)
        }
        guard ccurl_multi_add(multi, easy.raw) == 0 else {
            recycle(easy)
            return transfer.fail(.other, "libcurl could not take the request")
        }
        transfer.easy = easy
        running[easy.raw] = transfer
        noteDeadline(of: transfer)
    }

    private func collect() {
        var code: Int32 = 0
        while let raw = ccurl_multi_next_done(multi, &code) {
            guard let transfer = running.removeValue(forKey: raw), let easy = transfer.easy else { continue }
            _ = ccurl_multi_remove(multi, raw)
            transfer.easy = nil
            easy.conclude(transfer, curlCode: code)
            if code == 0 || !transfer.mayHaveLeft { recycle(easy) }
        }
    }

    /// Ends what is late: responses, for which libcurl has no deadline (it would not look at its sockets any more), and
    /// connections, because libcurl 7.88 does not apply the connect timeout to transfers that wait for one of a
    /// limited number of connections.
    private func sweep(_ now: ContinuousClock.Instant) {
        guard let due = nextSweep, now >= due else { return }
        nextSweep = nil
        for transfer in Array(running.values) {
            guard let deadline = transfer.currentDeadline, now >= deadline + Self.sweepSlack else {
                noteDeadline(of: transfer)
                continue
            }
            let lateness = transfer.lateness(at: now)
            stop(transfer, failing: lateness.code, lateness.text)
        }
    }

    /// Tells the readers and writers of streams what this round has brought.
    private func deliver(_ now: ContinuousClock.Instant) {
        while true {
            let streams = desk.take()
            if streams.isEmpty { return }
            for stream in streams {
                end(stream, stream.deliver(now))
                if stream.easy != nil { noteDeadline(of: stream) }
            }
        }
    }

    private func noteDeadline(of transfer: Transfer) {
        guard let deadline = transfer.currentDeadline else { return }
        let due = deadline + Self.sweepSlack
        nextSweep = nextSweep.map { min($0, due) } ?? due
    }

    private func pollTimeout() -> Int32 {
        let libcurls = ccurl_multi_time_left(multi)
        let most = Int32(libcurls < 0 ? 60_000 : min(60_000, libcurls))
        guard let nextSweep else { return most }
        let left = ContinuousClock.now.duration(to: nextSweep)
        guard left > .zero else { return 0 }
        return left < .seconds(60) ? min(most, Int32(left / .milliseconds(1)) + 1) : most
    }

    private func end(_ transfer: Transfer, _ reason: CurlError.Code?) {
        guard let reason else { return }
        stop(transfer, failing: reason, EasyHandle.text(ofAbort: reason, transfer))
    }

    private func stop(_ transfer: Transfer, failing code: CurlError.Code, _ text: String) {
        // Without a handle it has not begun, which `start` sees to, or has ended.
        guard let easy = transfer.easy else { return }
        running[easy.raw] = nil
        _ = ccurl_multi_remove(multi, easy.raw)
        transfer.easy = nil
        if !transfer.mayHaveLeft { recycle(easy) }
        transfer.fail(code, text)
    }

    /// Only for handles whose request has been answered, or cannot have left. Where a reused connection ended under it and
    /// it was not sent again after all, libcurl 7.88 keeps in mind that a body is to be rewound, beyond curl_easy_reset, and
    /// the next one that is streamed would fail.
    private func recycle(_ easy: EasyHandle) {
        guard idle.count < Self.maxIdleHandles else { return }
        easy.reset()
        idle.append(easy)
    }

    private func end() {
        let late = mailbox.close()
        for transfer in late { transfer.fail(.shutDown, "the client was shut down") }
        for transfer in Array(running.values) { stop(transfer, failing: .shutDown, "the client was shut down") }
        deliver(.now)
        idle = []
        _ = ccurl_multi_free(multi)
        var watcher = watcher
        ccurl_watcher_close(&watcher)
        mailbox.announceClosed()
    }
}
