import Journal
import Logging
import PerennialConfiguration
import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension JournalDirectory {
    /// The journals of a configuration's state directory, for people to look into: makes no directory, no key and no
    /// journal, and starts nothing.
    ///
    /// - Throws: `SealingError` or ``StartError`` when the sealing keys cannot be read.
    package init(lookingInto configuration: PerennialConfiguration, logger: Logger) throws {
        let state = StateDirectory(existing: configuration.stateDirectory)
        let ring: KeyRing
        if configuration.sealing == nil, configuration.redis.isEmbedded,
            !FileManager.default.fileExists(atPath: state.sealingKey)
        {
            // No key was ever made here; whatever lies in the directory is shown as unreadable.
            ring = try KeyRing(keys: [.generate()])
        } else {
            ring = try Instance.keyRing(configuration, state: state)
        }
        self.init(path: state.journals, ring: ring, logger: logger)
    }
}
