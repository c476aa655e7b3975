/// The faults that can be planted in the model or in the simulator's drivers, to prove that the invariants notice them.
/// None of them is a switch in production code: each changes what a script, a disk or a clock does, or how a step of a
/// production machine is carried out.
public enum PlantedMutation: String, Sendable, Hashable, CaseIterable {
    /// BEGIN grants although an intent of another attempt stands.
    case dropIntentCheck = "drop-intent-check"
    /// COMMIT and SETTLE free the lock whoever holds it.
    case releaseWithoutOwnerCheck = "release-without-owner-check"
    /// COMMIT writes only for the attempt that holds the lock.
    case commitByLockOwnership = "commit-by-lock-ownership"
    /// The journal reports an entry as written before it is on disk.
    case skipFsync = "skip-fsync"
    /// Deadlines run on the instance's wall clock.
    case trustWallClock = "trust-wall-clock"
    /// A BEGIN that failed is taken for a grant of what is remembered.
    case refreshWithoutRedis = "refresh-without-redis"
    /// A repeated BEGIN or COMMIT writes nothing, so the durability wait after it covers nothing.
    case dropTouchWrite = "drop-touch-write"
    /// A refusal counts although the account has moved on.
    case forgetReread = "forget-reread"
    /// A reader that finds no valid token hands out the expired one.
    case serveExpired = "serve-expired"
    /// Re-authorisation starts the generations anew.
    case resetGeneration = "reset-generation"
}
