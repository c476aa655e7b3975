import ArgumentParser
import RefreshCore

/// Where an account belongs and how its provider is reached.
struct TraitOptions: ParsableArguments {
    @Option(help: "The pool from which callers may be given it.")
    var pool: PoolName?

    @Option(help: "Its tier in the pool.")
    var tier: TierName?

    @Option(help: "KEY=VALUE; may be given several times.")
    var label: [String] = []

    @Option(
        help: ArgumentHelp(
            "direct, or http://, https://, socks5:// or socks5h://HOST:PORT: how requests that concern it leave.",
            discussion: "A proxy that wants a user name and password is given with --proxy-file."))
    var proxy: String?

    @Option(help: "File with the proxy's URL, credentials included (http://USER:PASSWORD@HOST:PORT); - for stdin.")
    var proxyFile: String?

    /// - Throws: `ValidationError` for what cannot be, and ``CommandFailure`` for a file that cannot be read.
    func changes() throws -> TraitChanges {
        var changes = TraitChanges()
        if let pool { changes.pool = .set(pool) }
        if let tier { changes.tier = .set(tier) }
        if !label.isEmpty { changes.labels = try LabelArguments.merge(setting: label, removing: []) }
        if let proxy = try ProxyArguments.read(proxy, file: proxyFile) { changes.proxy = .set(proxy) }
        return changes
    }
}

enum LabelArguments {
    /// - Throws: `ValidationError` naming the label that cannot be one.
    static func merge(setting: [String], removing: [String]) throws -> LabelChange {
        var changes: [String: String?] = [:]
        do {
            for key in removing {
                try AccountLabels.check(key: key)
                changes.updateValue(nil, forKey: key)
            }
            for (key, value) in try AccountFilter.labels(setting) {
                guard let value else { throw ValidationError("--label \(key) has no value: write \(key)=VALUE") }
                changes.updateValue(value, forKey: key)
            }
            let merge = LabelChange.merge(changes)
            try merge.check()
            return merge
        } catch let error as InvalidName {
            throw ValidationError(error.description)
        }
    }
}

enum ProxyArguments {
    /// The proxy of `--proxy` and `--proxy-file`; nil where neither is given.
    ///
    /// - Throws: `ValidationError` for credentials in an argument, which other users of the machine can see.
    static func read(_ text: String?, file: String?) throws -> ProxySetting? {
        do {
            if let text {
                guard file == nil else { throw ValidationError("give either --proxy or --proxy-file, not both") }
                let proxy = try ProxySetting(text)
                guard !proxy.hasCredentials else {
                    throw ValidationError(
                        "--proxy holds a user name or password, which other users of this machine can see: put the URL "
                            + "into a file and give --proxy-file FILE, or --proxy-file - and the URL on stdin")
                }
                return proxy
            }
            guard let file else { return nil }
            return try ProxySetting(String(decoding: try Terminal.read(file, limit: 64 << 10), as: UTF8.self).trimmed)
        } catch let error as InvalidProxy {
            throw file == nil
                ? ValidationError("--proxy: \(error.description)") : CommandFailure(.local, "\(error.description)")
        }
    }
}

extension PoolName: ExpressibleByArgument {
    public init?(argument: String) { try? self.init(argument) }
}

extension TierName: ExpressibleByArgument {
    public init?(argument: String) { try? self.init(argument) }
}

extension AccountStatus: ExpressibleByArgument {}
