import RedisClient
import RefreshCore
import Sealing

extension TraitChanges {
    /// Pairs of a field and its value for the scripts (`trait_fields` in prelude.lua); an empty value takes it away.
    ///
    /// - Throws: ``StoreError`` when the proxy cannot be sealed.
    func arguments(for account: AccountID, ring: KeyRing) throws(StoreError) -> [any RedisArgument] {
        var arguments: [any RedisArgument] = []
        func add(_ field: AccountField, _ value: any RedisArgument) { arguments += [field.redisName, value] }
        switch pool {
        case .keep: break
        case .remove: add(.pool, "")
        case .set(let name): add(.pool, name.rawValue)
        }
        switch tier {
        case .keep: break
        case .remove: add(.tier, "")
        case .set(let name): add(.tier, name.rawValue)
        }
        switch labels {
        case .keep: break
        case .replace(let labels): add(.labels, labels.stored)
        case .merge(let changes):
            let lines = changes.map { key, value in value.map { "\(key)=\($0)" } ?? key }
            arguments += ["label_changes", lines.sorted().joined(separator: "\n")]
        }
        switch proxy {
        case .keep: break
        case .remove: add(.proxy, "")
        case .set(let proxy): add(.proxy, try SealedProxy.seal(proxy, of: account, ring: ring))
        }
        return arguments
    }
}

extension AccountLabels {
    /// One `key=value` a line: neither holds a line feed, and keys no equals sign.
    var stored: String { lines.joined(separator: "\n") }

    init(storedAs text: String?) {
        var values: [String: String] = [:]
        for line in (text ?? "").split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, !parts[0].isEmpty { values[String(parts[0])] = String(parts[1]) }
        }
        self.init(unchecked: values)
    }
}
