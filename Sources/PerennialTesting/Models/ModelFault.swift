import RefreshCore

/// What a ``ModelStore`` can be asked, for injecting faults and counting calls.
public enum ModelOperation: Sendable, Hashable, CaseIterable {
    case begin, commit, settle, read
    case takeDue, scheduledCounts, reconcile
    case acquire, renew, release
    case put, edit, remove, list, count
}

/// How an operation of a ``ModelStore`` can fail.
public enum ModelFault: Sendable, Hashable {
    /// Not carried out, and the caller knows.
    case unavailable
    /// Sent and not carried out; the caller knows only that there was no reply.
    case requestLost
    /// Carried out, but the caller knows only that there was no reply.
    case replyLost
    /// What is stored cannot be read by this version.
    case unreadable

    var error: StoreError {
        switch self {
        case .unavailable: StoreError(.unavailable, "the store is away")
        case .requestLost, .replyLost: StoreError(.outcomeUnknown, "the store did not answer in time")
        case .unreadable: StoreError(.corrupt, "the modelled store holds something of a newer version")
        }
    }
}
