import NIOConcurrencyHelpers
import RefreshCore

/// Tells the fleet when exchanges find a provider misconfigured, and when one works again; costs nothing meanwhile.
///
/// That is no part of SETTLE and COMMIT: those touch one partition only, and a provider is told of once.
final class ProviderHealth: Sendable {
    private let log: RedisEventLog
    private let origin: InstanceID
    private let time: any TimeSource
    /// When this instance has told of the misconfigured ones last.
    private let told = NIOLockedValueBox<[ProviderName: MonotonicTime]>([:])
    /// As long as a provider stays misconfigured it is told of this often, which keeps the fleet's memory of it alive.
    /// Meanwhile another instance may have told that it works again; that it does not after all is known within this time.
    private let repeatsAfter: Duration

    /// - Parameter time: nil: that of the link.
    init(link: RedisLink, origin: InstanceID, time: (any TimeSource)? = nil) {
        log = RedisEventLog(link: link)
        repeatsAfter = link.isFrugal ? .seconds(900) : .seconds(60)
        self.origin = origin
        self.time = time ?? link.clock
    }

    /// An exchange was answered that the provider's configuration is at fault. What cannot be told now is told at the
    /// next such answer.
    func misconfigured(_ provider: ProviderName, _ message: String) async {
        let now = time.monotonic()
        if let last = told.withLockedValue({ $0[provider] }), now - last < repeatsAfter { return }
        guard (try? await log.providerState(provider, fault: message, instance: origin)) != nil else { return }
        told.withLockedValue { $0[provider] = now }
    }

    /// An exchange has worked.
    ///
    /// - Parameter wasMet: whether the account had met the fault.
    func works(_ provider: ProviderName, wasMet: Bool) async {
        guard wasMet || told.withLockedValue({ $0[provider] != nil }) else { return }
        guard (try? await log.providerState(provider, fault: nil, instance: origin)) != nil else {
            // Remembered, so that the next exchange that works tells it.
            told.withLockedValue { $0[provider] = $0[provider] ?? time.monotonic() }
            return
        }
        told.withLockedValue { $0[provider] = nil }
    }
}
