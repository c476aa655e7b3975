import RedisClient

/// Every script of the store, loaded from the `.lua` files in `Scripts/`, which are built into the binary.
enum ScriptLibrary {
    static let begin = account("begin", PackageResources.begin_lua)
    static let commit = account("commit", PackageResources.commit_lua)
    static let orphan = account("orphan", PackageResources.orphan_lua)
    static let restoreOrphan = account("restore_orphan", PackageResources.restore_orphan_lua)
    static let dropOrphan = account("drop_orphan", PackageResources.drop_orphan_lua)
    static let settle = account("settle", PackageResources.settle_lua)
    static let pause = account("pause", PackageResources.pause_lua)
    static let put = account("put", PackageResources.put_lua)
    static let edit = account("edit", PackageResources.edit_lua)
    static let remove = account("remove", PackageResources.remove_lua)
    static let watchServer = account("watch_server", PackageResources.watch_server_lua)
    static let takeDue = plain("take_due", PackageResources.take_due_lua)
    static let leaseAcquire = plain("lease_acquire", PackageResources.lease_acquire_lua)
    static let leaseRenew = plain("lease_renew", PackageResources.lease_renew_lua)
    static let leaseRelease = plain("lease_release", PackageResources.lease_release_lua)

    private static func plain(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: name, source: String(decoding: source, as: UTF8.self))
    }

    private static func account(_ name: String, _ source: [UInt8]) -> RedisScript {
        plain(name, PackageResources.prelude_lua + source)
    }
}
