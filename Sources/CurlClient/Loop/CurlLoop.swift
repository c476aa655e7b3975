import CCurl
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One thread around one libcurl multi handle.
// @unchecked: the multi handle, the easy handles and the transfers under way are touched by the loop's thread only.
// The one call from elsewhere, curl_multi_wakeup, is made for that, and the mailbox's lock keeps it from coming after
// the end.
final class CurlLoop: @unchecked Sendable {
    private static let globalInit: Int32 = ccurl_global_init()

    private let multi: UnsafeMutableRawPointer
    private let mailbox: Mailbox
    private let configuration: CurlClientConfiguration
    /// By easy handle. Holds the transfers for the callbacks.
    private var running: [UnsafeMutableRawPointer: Transfer] = [:]
    private var idle: [EasyHandle] = []
    /// Handles weigh some 5 KiB each; a burst needs not keep them all.
    private static let maxIdleHandles = 64

    /// When to look for transfers whose time is over; nil if there are none.
    private var nextSweep: ContinuousClock.Instant?
    /// For connections libcurl comes first, because it knows better what the transfer was waiting for.
    private static let sweepSlack = Duration.milliseconds(20)

    /// Starts the thread. nil if libcurl or the system refuses.
    init?(_ configuration: CurlClientConfiguration) {
        guard Self.globalInit == 0, let multi = ccurl_multi_new() else { return nil }
        self.multi = multi
        self.configuration = configuration
        let handle = WakeHandle(multi: multi)
        mailbox = Mailbox { handle.wake() }

        for (option, value) in [
            (CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX)),
            (CURLMOPT_MAX_TOTAL_CONNECTIONS, max(0, configuration.maxConnections)),
            (CURLMOPT_MAX_HOST_CONNECTIONS, max(0, configuration.maxConnectionsPerHost)),
            (CURLMOPT_MAXCONNECTS, max(1, configuration.maxIdleConnections)),
        ] {
            _ = ccurl_multi_set_long(multi, option, value)
        }
        guard startThread() else {
            _ = ccurl_multi_free(multi)
            return nil
        }
    }

    func submit(_ transfer: Transfer) {
        if !mailbox.submit(transfer) { transfer.finish(failing: .shutDown, "the client is shut down") }
    }

    /// Takes effect wherever the transfer is by now, also if it is yet to be submitted.
    func cancel(_ transfer: Transfer) {
        transfer.isCancelled.store(true, ordering: .releasing)
        mailbox.cancel(transfer)
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
            if delivery.isClosing { break }
            // Taken first: a process that was stopped for longer than a deadline finds the response in its sockets, and
            // what libcurl can read of it now is not too late.
            let now = ContinuousClock.now
            _ = ccurl_multi_perform(multi)
            collect()
            sweep(now)
            if mailbox.mayFallAsleep(), ccurl_multi_poll(multi, pollTimeout()) != 0 {
                // Out of memory or descriptors for the poll itself: go on by looking now and then.
                usleep(10_000)
            }
        }
        end()
    }

    private func start(_ transfer: Transfer) {
        let now = ContinuousClock.now
        if transfer.isCancelled.load(ordering: .acquiring) {
            return transfer.finish(failing: .cancelled, "cancelled")
        }
        if now >= transfer.deadline {
            return transfer.finish(failing: .timeout, "no time was left to begin")
        }
        if let sendBy = transfer.request.sendBy, now >= sendBy {
            return transfer.finish(failing: .sendByMissed, "the instant to send by had already passed")
        }
        guard let easy = idle.popLast() ?? EasyHandle() else {
            return transfer.finish(failing: .other, "libcurl could not make a handle")
        }
        let refused = easy.prepare(for: transfer, now: now, configuration: configuration)
        guard refused == 0 else {
            recycle(easy)
            return transfer.finish(
                failing: .other, "libcurl refuses the request: \(String(cString: ccurl_strerror(refused)))",
                curlCode: refused)
        }
        guard ccurl_multi_add(multi, easy.raw) == 0 else {
            recycle(easy)
            return transfer.finish(failing: .other, "libcurl could not take the request")
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
            recycle(easy)
        }
    }

    /// Ends what is late: responses, for which libcurl has no deadline (it would not look at its sockets any more), and
    /// connections, because libcurl 7.88 does not apply the connect timeout to transfers that wait for one of a
    /// limited number of connections.
    private func sweep(_ now: ContinuousClock.Instant) {
        guard let due = nextSweep, now >= due else { return }
        nextSweep = nil
        for transfer in Array(running.values) {
            guard now >= transfer.currentDeadline + Self.sweepSlack else {
                noteDeadline(of: transfer)
                continue
            }
            if let sendBy = transfer.request.sendBy, now >= sendBy, !transfer.mayHaveLeft {
                stop(transfer, failing: .sendByMissed, "the instant to send by passed before a connection was ready")
            } else {
                stop(transfer, failing: .timeout, "no connection, or no response, in time")
            }
        }
    }

    private func noteDeadline(of transfer: Transfer) {
        let due = transfer.currentDeadline + Self.sweepSlack
        nextSweep = nextSweep.map { min($0, due) } ?? due
    }

    private func pollTimeout() -> Int32 {
        guard let nextSweep else { return 60_000 }
        let left = ContinuousClock.now.duration(to: nextSweep)
        guard left > .zero else { return 0 }
        guard left < .seconds(60) else { return 60_000 }
        return Int32(left / .milliseconds(1)) + 1
    }

    private func stop(_ transfer: Transfer, failing code: CurlError.Code, _ text: String) {
        // Without a handle it has not begun, which `start` sees to, or has ended.
        guard let easy = transfer.easy else { return }
        running[easy.raw] = nil
        _ = ccurl_multi_remove(multi, easy.raw)
        transfer.easy = nil
        recycle(easy)
        transfer.finish(failing: code, text)
    }

    private func recycle(_ easy: EasyHandle) {
        guard idle.count < Self.maxIdleHandles else { return }
        easy.reset()
        idle.append(easy)
    }

    private func end() {
        let late = mailbox.close()
        for transfer in late { transfer.finish(failing: .shutDown, "the client was shut down") }
        for transfer in Array(running.values) { stop(transfer, failing: .shutDown, "the client was shut down") }
        idle = []
        _ = ccurl_multi_free(multi)
        mailbox.announceClosed()
    }
}

/// The multi handle as other threads may use it.
// @unchecked: curl_multi_wakeup may be called from any thread (its manual page), and nothing else is done with the
// pointer.
private struct WakeHandle: @unchecked Sendable {
    let multi: UnsafeMutableRawPointer

    func wake() { _ = ccurl_multi_wakeup(multi) }
}
