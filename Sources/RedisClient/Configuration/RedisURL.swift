extension RedisConfiguration {
    /// Reads a Redis URL.
    ///
    /// - `redis://[user[:password]@]host[:port][/db]`, plain TCP, port 6379 unless given;
    /// - `rediss://…`, the same with TLS;
    /// - `unix://[user[:password]@]/path[?db=n]`, a Unix socket. `?db=n` works for the others too.
    ///
    /// `redis://:password@host` names a password only. Reserved characters in user, password and path are
    /// percent-encoded. See <https://www.iana.org/assignments/uri-schemes/prov/redis>.
    ///
    /// - Throws: ``RedisError/Code/configuration``. The message never contains the URL, for it may hold a password.
    public init(url: String) throws(RedisError) {
        guard let schemeEnd = url.firstRange(of: "://") else {
            throw Self.malformed("it must start with redis://, rediss:// or unix://")
        }
        let scheme = url[..<schemeEnd.lowerBound].lowercased()
        let rest = url[schemeEnd.upperBound...]
        guard !rest.contains("#") else { throw Self.malformed("'#' must be written %23") }
        let (beforeQuery, query) = Self.split(rest, at: "?")
        let slash = beforeQuery.firstIndex(of: "/") ?? beforeQuery.endIndex
        let authority = beforeQuery[..<slash]
        let path = beforeQuery[slash...]

        var userInfo: Substring?
        var address = authority
        if let at = authority.lastIndex(of: "@") {
            userInfo = authority[..<at]
            address = authority[authority.index(after: at)...]
        }

        var database = try Self.database(inQuery: query)
        switch scheme {
        case "redis", "rediss":
            let (host, port) = try Self.hostAndPort(address)
            if path.count > 1 {
                guard database == nil else { throw Self.malformed("the database is given twice") }
                database = try Self.databaseNumber(path.dropFirst())
            }
            self.init(endpoint: .tcp(host: host, port: port), tls: scheme == "rediss" ? RedisTLS() : nil)
        case "unix":
            guard address.isEmpty, path.count > 1 else {
                throw Self.malformed("a socket path is absolute: unix:///run/redis.sock")
            }
            let decoded = try Self.percentDecoded(path)
            guard decoded.utf8.count < 108, !decoded.utf8.contains(0) else {
                throw Self.malformed("a socket path has at most 107 bytes")
            }
            self.init(endpoint: .unixSocket(path: decoded))
        default:
            throw Self.malformed("it must start with redis://, rediss:// or unix://")
        }
        self.database = database ?? 0

        if let userInfo {
            let (user, password) = Self.split(userInfo, at: ":")
            if !user.isEmpty { username = try Self.percentDecoded(user) }
            if let password, !password.isEmpty { self.password = try Self.percentDecoded(password) }
            guard username == nil || self.password != nil else {
                throw Self.malformed("a user needs a password: user:password@, or :password@ for a password alone")
            }
        }
    }

    private static func malformed(_ reason: String) -> RedisError {
        RedisError(.configuration, "The Redis URL is malformed: \(reason).")
    }

    private static func split(_ text: Substring, at separator: Character) -> (Substring, Substring?) {
        guard let index = text.firstIndex(of: separator) else { return (text, nil) }
        return (text[..<index], text[text.index(after: index)...])
    }

    private static func hostAndPort(_ address: Substring) throws(RedisError) -> (host: String, port: Int) {
        var host = address
        var portText: Substring?
        if address.first == "[" {
            guard let close = address.firstIndex(of: "]") else { throw malformed("'[' without ']'") }
            host = address[address.index(after: address.startIndex)..<close]
            let tail = address[address.index(after: close)...]
            guard tail.isEmpty || tail.first == ":" else { throw malformed("only a port may follow ']'") }
            portText = tail.isEmpty ? nil : tail.dropFirst()
        } else {
            (host, portText) = split(address, at: ":")
            guard portText?.contains(":") != true else {
                throw malformed("an IPv6 address stands in brackets, and '@' or ':' in a password is percent-encoded")
            }
        }
        let decoded = try percentDecoded(host)
        guard !decoded.isEmpty else { throw malformed("the host is missing") }
        guard !decoded.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw malformed("the host contains white space")
        }
        guard let portText else { return (decoded, 6379) }
        guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(portText),
            (1...65535).contains(port)
        else { throw malformed("the port is a number from 1 to 65535") }
        return (decoded, port)
    }

    private static func database(inQuery query: Substring?) throws(RedisError) -> Int? {
        guard let query, !query.isEmpty else { return nil }
        var database: Int?
        for item in query.split(separator: "&", omittingEmptySubsequences: false) {
            let (name, value) = split(item, at: "=")
            guard name == "db" else { throw malformed("'db' is the only query parameter") }
            guard database == nil else { throw malformed("the database is given twice") }
            database = try databaseNumber(value ?? "")
        }
        return database
    }

    private static func databaseNumber(_ text: Substring) throws(RedisError) -> Int {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
            number <= Int(Int32.max)
        else { throw malformed("the database is a number") }
        return number
    }

    private static func percentDecoded(_ text: Substring) throws(RedisError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                throw malformed("'%' is followed by two hexadecimal digits; write a plain % as %25")
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw malformed("percent-encoded bytes must be UTF-8")
        }
        return decoded
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
