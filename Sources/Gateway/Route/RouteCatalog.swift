import ConfigurationFile
import Providers
import RefreshCore

/// The routes that the configuration has.
public struct RouteCatalog: Sendable, Hashable {
    /// In the order of the file.
    public var routes: [GatewayRoute]

    public init(_ routes: [GatewayRoute] = []) {
        self.routes = routes
    }

    public var isEmpty: Bool { routes.isEmpty }

    /// Whether a route takes accounts from a pool.
    public var usesPools: Bool {
        routes.contains { route in
            if case .pool = route.source { return true }
            return route.choice?.pools.isEmpty == false
        }
    }
}

extension GatewayRoute {
    /// The effective settings, key by key as in the configuration. Fixed headers only say that they are set.
    public var settings: [(key: String, value: String)] {
        var settings: [(key: String, value: String)] = [("upstream", upstream.description)]
        func add(_ key: String, _ value: String?) {
            if let value { settings.append((key, value)) }
        }
        switch source {
        case .account(let account)?: add("account", account.rawValue)
        case .pool(let pool)?: add("pool", pool.rawValue)
        case nil: break
        }
        if let choice {
            add("choose.header", choice.header)
            if !choice.accounts.isEmpty { add("choose.accounts", choice.accounts.joined(separator: ", ")) }
            if !choice.pools.isEmpty { add("choose.pools", choice.pools.map(\.rawValue).joined(separator: ", ")) }
        }
        add("inject", injection.description)
        add("headers.allow", headers.allow?.joined(separator: ", "))
        if !headers.deny.isEmpty { add("headers.deny", headers.deny.joined(separator: ", ")) }
        if !headers.denyInAnswer.isEmpty { add("headers.deny_answer", headers.denyInAnswer.joined(separator: ", ")) }
        for field in headers.set { add("headers.set.\(field.name)", field.value.description) }
        add("own_credential_wins", String(ownCredentialWins))
        add("rules", "\(rules.rules.count) of its own, before those of the provider")
        if !reset.headers.isEmpty { add("reset.headers", reset.headers.joined(separator: ", ")) }
        if !reset.pointers.isEmpty { add("reset.json", reset.pointers.map(\.description).joined(separator: ", ")) }
        switch dimension {
        case .header(let name)?: add("dimension.header", name)
        case .json(let pointer)?: add("dimension.json", pointer.description)
        case nil: break
        }
        add("session", sessionHeader)
        add("tries", String(budget.tries))
        add("deadline", DurationText.format(budget.deadline))
        add("timeouts.connect", DurationText.format(budget.connect))
        add("timeouts.first_byte", DurationText.format(budget.firstByte))
        add("timeouts.idle", DurationText.format(budget.idle))
        add("replay.memory", SizeText.format(replay.memory))
        add("replay.file", SizeText.format(replay.file))
        add("compression", compression.rawValue)
        add("encoded_slashes", String(allowsEncodedSlashes))
        add("ca_file", caFile)
        return settings
    }
}

/// Sizes as the configuration writes them: a whole number with `KiB` or `MiB`, or of bytes.
enum SizeText {
    static func parse(_ text: String) -> Int? {
        for (unit, factor) in [("KiB", 1024), ("MiB", 1024 * 1024), ("GiB", 1024 * 1024 * 1024), ("B", 1), ("", 1)]
        where text.hasSuffix(unit) {
            let digits = text.dropLast(unit.count).filter { $0 != " " }
            guard (1...12).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(digits)
            else { return nil }
            let (size, overflow) = number.multipliedReportingOverflow(by: factor)
            return overflow ? nil : size
        }
        return nil
    }

    static func format(_ size: Int) -> String {
        if size > 0, size % (1024 * 1024) == 0 { return "\(size / 1024 / 1024)MiB" }
        if size > 0, size % 1024 == 0 { return "\(size / 1024)KiB" }
        return "\(size)"
    }
}
