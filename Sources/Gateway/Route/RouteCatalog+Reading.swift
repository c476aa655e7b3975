public import ConfigurationFile
public import Providers
import RefreshCore

extension RouteCatalog {
    /// Reads the section `routes`, whose keys are the names of routes.
    ///
    /// Keys of a route: `upstream`, `account` or `pool`, `choose` (`header, accounts, pools`), `inject`, `headers`
    /// (`allow, deny, set, deny_answer`), `own_credential_wins`, `rules`, `reset` (`headers, json`), `dimension`
    /// (`header` or `json`), `session`, `tries`, `deadline`, `timeouts` (`connect, first_byte, idle`), `replay`
    /// (`memory, file`), `compression`, `encoded_slashes`, `ca_file`, `allow_insecure_http`.
    public static func read(_ section: ConfigurationSection, pools: PoolCatalog) -> RouteCatalog {
        var routes: [GatewayRoute] = []
        for name in section.keys {
            let route = section.section(name) { RouteReading(name: name, section: $0, pools: pools).route() } ?? nil
            if !isName(name) {
                section.report(.invalidValue, name, "a name has 1 to 64 characters out of letters, digits and . _ -")
            } else if let route {
                routes.append(route)
            }
        }
        return RouteCatalog(routes)
    }

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || Array("._-".utf8).contains(byte)
            }
    }
}

/// Reads one route; what is wrong is reported, and nil answered where nothing can be called.
private struct RouteReading {
    let name: String
    let section: ConfigurationSection
    let pools: PoolCatalog

    func route() -> GatewayRoute? {
        let upstream = self.upstream()
        let source = self.source()
        let choice = section.section("choose") { self.choice($0) } ?? nil
        if section.isMapping, source == nil, !section.contains("choose"), !section.contains("account"),
            !section.contains("pool")
        {
            section.report(
                .missing, "does not say whose token calls carry: write account: ID, pool: NAME or choose: { header: … }"
            )
        }
        guard var route = upstream.map({ GatewayRoute(name: name, upstream: $0, source: source) }) else {
            // Read for their mistakes all the same.
            var unused = GatewayRoute(name: name, upstream: .nowhere, source: source)
            fill(&unused)
            return nil
        }
        route.choice = choice
        fill(&route)
        checkPools(route)
        return section.isMapping ? route : nil
    }

    private func fill(_ route: inout GatewayRoute) {
        route.injection = injection() ?? route.injection
        route.headers = section.section("headers") { headers($0) } ?? route.headers
        route.ownCredentialWins = section.bool("own_credential_wins") ?? route.ownCredentialWins
        if section.contains("rules") { route.rules = ErrorRules.readAPI(section, "rules") }
        route.reset = section.section("reset") { reset($0) } ?? route.reset
        route.dimension = section.section("dimension") { dimension($0) } ?? nil
        route.sessionHeader = headerName(section, "session")
        route.budget = budget()
        route.replay = section.section("replay") { replay($0) } ?? route.replay
        route.compression = section.choice("compression", of: Compression.self) ?? route.compression
        route.allowsEncodedSlashes = section.bool("encoded_slashes") ?? route.allowsEncodedSlashes
        route.caFile = section.string("ca_file")
    }

    // MARK: Where to, and as whom

    private func upstream() -> UpstreamURL? {
        let allowsInsecure = section.bool("allow_insecure_http") ?? false
        guard let text = section.string("upstream") else {
            if section.isMapping, !section.contains("upstream") {
                section.report(.missing, "has no upstream: write upstream: https://HOST/PATH")
            }
            return nil
        }
        do throws(UpstreamURL.Malformed) {
            let url = try UpstreamURL(text)
            guard url.isPrivate || allowsInsecure else {
                section.report(
                    .invalidValue, "upstream",
                    "would send tokens unencrypted: use https://, or set allow_insecure_http: true")
                return nil
            }
            return url
        } catch {
            section.report(.invalidValue, "upstream", error.description)
            return nil
        }
    }

    private func source() -> RouteSource? {
        let account = section.string("account")
        let pool = section.string("pool")
        if section.contains("account"), section.contains("pool") {
            section.report(.contradiction, "pool", "give either account or pool, not both")
            return nil
        }
        if let account {
            do throws(InvalidName) {
                return .account(try AccountID(account))
            } catch {
                section.report(.invalidValue, "account", error.description)
            }
        }
        if let pool { return knownPool(pool, section, "pool").map { .pool($0) } }
        return nil
    }

    private func choice(_ section: ConfigurationSection) -> SourceChoice? {
        let header = headerName(section, "header")
        if section.isMapping, !section.contains("header") {
            section.report(.missing, "has no header: write header: X-Account")
        }
        let accounts = section.oneOrMany("accounts") ?? []
        for text in accounts {
            let name = text.hasSuffix("*") ? String(text.dropLast()) : text
            guard !name.isEmpty || text == "*" else { continue }
            if !name.isEmpty, (try? AccountID(name)) == nil {
                section.report(
                    .invalidValue, "accounts", "\(Quoted.text(text)) is no account id, nor the beginning of one")
            }
        }
        let pools = (section.oneOrMany("pools") ?? []).compactMap { knownPool($0, section, "pools") }
        if section.isMapping, !section.contains("accounts"), !section.contains("pools") {
            section.report(.missing, "does not say what may be chosen: write accounts: [ID, …] or pools: [NAME, …]")
        }
        return header.map { SourceChoice(header: $0, accounts: accounts, pools: pools) }
    }

    private func knownPool(_ text: String, _ section: ConfigurationSection, _ key: String) -> PoolName? {
        do throws(InvalidName) {
            let name = try PoolName(text)
            guard pools.settings[name] == nil else { return name }
            let nearest = EditDistance.nearest(to: text, among: pools.pools.map(\.name.rawValue))
            section.report(
                .invalidValue, key,
                "\(Quoted.text(text)) is not under pools; "
                    + (nearest.map { "did you mean \($0)?" } ?? "write pools: { \(text): {} }"))
        } catch {
            section.report(.invalidValue, key, error.description)
        }
        return nil
    }

    private func checkPools(_ route: GatewayRoute) {
        var usesPools = route.choice?.pools.isEmpty == false
        if case .pool = route.source { usesPools = true }
        guard !usesPools, route.source != nil || route.choice != nil else { return }
        for key in ["dimension", "session", "reset"] where section.contains(key) {
            section.report(.contradiction, key, "is of no use without a pool: a single account has no other to go to")
        }
    }

    // MARK: What is sent

    private func injection() -> TokenInjection? {
        guard section.contains("inject") else { return nil }
        guard section.isSection("inject") else {
            return section.parsed(
                "inject",
                "bearer, or a mapping: header: { name, format }, query: NAME, basic: { username, password } or "
                    + "cookie: NAME", { $0 == "bearer" ? .bearer : nil })
        }
        return section.section("inject") { section in
            let kinds = ["header", "query", "basic", "cookie"]
            let given = kinds.filter { section.contains($0) }
            guard given.count == 1 else {
                section.report(
                    given.isEmpty ? .missing : .contradiction,
                    "takes exactly one of header, query, basic and cookie, or inject: bearer")
                return nil
            }
            switch given[0] {
            case "header":
                guard section.isSection("header") else {
                    return headerName(section, "header").map { .header(name: $0, format: TokenInjection.placeholder) }
                }
                return section.section("header") { headerInjection($0) } ?? nil
            case "query": return section.string("query").map { .query(name: $0) }
            case "cookie":
                guard let name = section.string("cookie") else { return nil }
                guard HTTPText.isToken(name) else {
                    section.report(.invalidValue, "cookie", "is no name of a cookie (RFC 6265 §4.1.1)")
                    return nil
                }
                return .cookie(name: name)
            default: return section.section("basic") { basicInjection($0) } ?? nil
            }
        } ?? nil
    }

    private func headerInjection(_ section: ConfigurationSection) -> TokenInjection? {
        let name = headerName(section, "name")
        if section.isMapping, !section.contains("name") {
            section.report(.missing, "has no name: write name: X-Api-Key")
        }
        let format = section.string("format", secret: true) ?? TokenInjection.placeholder
        guard format.contains(TokenInjection.placeholder) else {
            section.report(.invalidValue, "format", "has no {token}, where the token is to stand")
            return nil
        }
        guard HTTPText.isFieldValue(format) else {
            section.report(.invalidValue, "format", "holds a control or non-ASCII character, or a blank at an end")
            return nil
        }
        return name.map { .header(name: $0, format: format) }
    }

    private func basicInjection(_ section: ConfigurationSection) -> TokenInjection? {
        let username = section.string("username", secret: true)
        let password = section.string("password", secret: true)
        let injection = TokenInjection.basic(
            username: username ?? TokenInjection.placeholder,
            password: password
                ?? (username == nil || username?.contains(TokenInjection.placeholder) == true
                    ? "" : TokenInjection.placeholder))
        guard case .basic(let user, let pass) = injection,
            user.contains(TokenInjection.placeholder) || pass.contains(TokenInjection.placeholder)
        else {
            section.report(.invalidValue, "has no {token}: write username: \"{token}\" or password: \"{token}\"")
            return nil
        }
        guard !user.contains(":") else {
            section.report(.invalidValue, "username", "holds a colon, which no user name can (RFC 7617 §2)")
            return nil
        }
        return injection
    }

    private func headers(_ section: ConfigurationSection) -> HeaderPolicy {
        var policy = HeaderPolicy()
        policy.allow = patterns(section, "allow")
        policy.deny = patterns(section, "deny") ?? []
        policy.denyInAnswer = patterns(section, "deny_answer") ?? []
        section.section("set") { section in
            for name in section.keys {
                guard let value = section.string(name, secret: true) else { continue }
                if !HTTPText.isToken(name) {
                    section.report(.invalidValue, name, "is no name of a header")
                } else if HopByHop.fields.contains(name.lowercased())
                    || ["host", "content-length", "expect", "via"].contains(name.lowercased())
                {
                    section.report(.invalidValue, name, "is made by Perennial: leave it out")
                } else if !HTTPText.isFieldValue(value) {
                    section.report(.invalidValue, name, "holds a control or non-ASCII character, or a blank at an end")
                } else {
                    policy.set.append(.init(name: name, value: Secret(value)))
                }
            }
        }
        return policy
    }

    private func patterns(_ section: ConfigurationSection, _ key: String) -> [String]? {
        guard section.contains(key), let texts = section.oneOrMany(key) else { return nil }
        for text in texts {
            let name = text.hasSuffix("*") ? String(text.dropLast()) : text
            if text != "*", !HTTPText.isToken(name) || name.contains("*") {
                section.report(
                    .invalidValue, key, "\(Quoted.text(text)) is no name of a header; a * may stand at its end")
            }
        }
        return texts.map { $0.lowercased() }
    }

    private func headerName(_ section: ConfigurationSection, _ key: String) -> String? {
        guard let name = section.string(key) else { return nil }
        guard HTTPText.isToken(name) else {
            section.report(.invalidValue, key, "is no name of a header")
            return nil
        }
        guard !HopByHop.fields.contains(name.lowercased()),
            !["host", "content-length", "expect", "via", "x-perennial-key"].contains(name.lowercased())
        else {
            section.report(.invalidValue, key, "is a header with a meaning of its own: choose another one")
            return nil
        }
        return name
    }

    // MARK: What is made of answers

    private func reset(_ section: ConfigurationSection) -> QuotaReset {
        var reset = QuotaReset()
        for name in section.oneOrMany("headers") ?? [] {
            if HTTPText.isToken(name) {
                reset.headers.append(name)
            } else {
                section.report(.invalidValue, "headers", "\(Quoted.text(name)) is no name of a header")
            }
        }
        for text in section.oneOrMany("json") ?? [] {
            if let pointer = pointer(section, "json", text) { reset.pointers.append(pointer) }
        }
        return reset
    }

    private func dimension(_ section: ConfigurationSection) -> DimensionSource? {
        guard section.contains("header") != section.contains("json") else {
            section.report(
                section.contains("header") ? .contradiction : .missing,
                "takes either header: NAME or json: /pointer")
            _ = section.string("header")
            _ = section.string("json")
            return nil
        }
        if section.contains("header") { return headerName(section, "header").map { .header($0) } }
        return section.string("json").flatMap { pointer(section, "json", $0) }.map { .json($0) }
    }

    private func pointer(_ section: ConfigurationSection, _ key: String, _ text: String) -> JSONPointer? {
        do throws(JSONPointer.Malformed) {
            return try JSONPointer(text)
        } catch {
            section.report(.invalidValue, key, error.description)
            return nil
        }
    }

    // MARK: Bounds

    private func budget() -> CallBudget {
        var budget = CallBudget()
        budget.tries = section.int("tries", in: 1...20) ?? budget.tries
        budget.deadline = section.duration("deadline", in: .milliseconds(100) ... .seconds(3600)) ?? budget.deadline
        section.section("timeouts") { section in
            let most = Duration.seconds(3600)
            budget.connect = section.duration("connect", in: .milliseconds(10) ... .seconds(300)) ?? budget.connect
            budget.firstByte = section.duration("first_byte", in: .milliseconds(10)...most) ?? budget.firstByte
            budget.idle = section.duration("idle", in: .milliseconds(10)...most) ?? budget.idle
        }
        return budget
    }

    private func replay(_ section: ConfigurationSection) -> ReplayLimits {
        var limits = ReplayLimits()
        let expected = "a size: write for example 256KiB or 16MiB"
        if let memory = section.parsed("memory", expected, { SizeText.parse($0) }) {
            if memory <= 64 << 20 {
                limits.memory = memory
                limits.file = max(limits.file, memory)
            } else {
                section.report(.invalidValue, "memory", "is more than 64MiB for each request under way")
            }
        }
        if let file = section.parsed("file", expected, { SizeText.parse($0) }) {
            if file > 16 << 30 {
                section.report(.invalidValue, "file", "is more than 16GiB")
            } else if file < limits.memory, section.contains("memory"), file > 0 {
                section.report(.contradiction, "file", "is less than memory, which it includes")
            } else {
                limits.file = file
                limits.memory = min(limits.memory, file == 0 && section.contains("memory") ? limits.memory : file)
            }
        }
        return limits
    }
}

extension UpstreamURL {
    /// Stands for one that could not be read while the rest of its route is.
    fileprivate static let nowhere = UpstreamURL(unchecked: "https://invalid.")
}
