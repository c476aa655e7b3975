public import ConfigurationFile

/// Where bodies of requests go that are too large for memory, and how much of the disk they may take, in bytes and over all
/// requests under way.
public struct SpillSettings: Sendable, Hashable {
    /// Made at the start, if it does not exist. Nil: `spill` in the state directory.
    public var directory: String?
    /// All bodies together.
    public var most: Int64 = 1 << 30
    /// What has to stay free on the file system, for the journal above all.
    public var keepsFree: Int64 = 512 << 20

    public init(directory: String? = nil) {
        self.directory = directory
    }

    /// The section `gateway`: `spill_dir`, `spill_max`, `spill_keep_free`.
    public static func read(_ section: ConfigurationSection) -> SpillSettings {
        var settings = SpillSettings()
        if let directory = section.string("spill_dir") {
            if directory.hasPrefix("/") {
                settings.directory = directory
            } else {
                section.report(
                    .invalidValue, "spill_dir", "is not an absolute path: write for example /var/tmp/perennial")
            }
        }
        let expected = "a size: write for example 512MiB or 4GiB"
        if let most = section.parsed("spill_max", expected, { SizeText.parse($0) }) { settings.most = Int64(most) }
        if let free = section.parsed("spill_keep_free", expected, { SizeText.parse($0) }) {
            settings.keepsFree = Int64(free)
        }
        return settings
    }

    /// Key by key, as in the file.
    public var settings: [(key: String, value: String)] {
        [
            ("spill_dir", directory ?? "spill in state_dir"), ("spill_max", SizeText.format(Int(most))),
            ("spill_keep_free", SizeText.format(Int(keepsFree))),
        ]
    }
}
