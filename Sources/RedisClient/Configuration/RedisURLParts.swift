/// A Redis URL taken apart, each part still as written.
struct RedisURLParts {
    enum Kind {
        case single, unixSocket, sentinel, cluster
    }

    let kind: Kind
    let usesTLS: Bool
    /// What stands before the last `@`.
    private let userInfo: Substring?
    /// Host and port, or several with commas between them.
    let address: Substring
    /// From the first slash on, or empty.
    let path: Substring
    private let query: Substring?

    private static let schemes: [String: (kind: Kind, usesTLS: Bool)] = [
        "redis": (.single, false), "rediss": (.single, true), "unix": (.unixSocket, false),
        "redis+sentinel": (.sentinel, false), "rediss+sentinel": (.sentinel, true),
        "redis+cluster": (.cluster, false), "rediss+cluster": (.cluster, true),
    ]

    init(_ url: String) throws(RedisError) {
        guard let schemeEnd = url.firstRange(of: "://"),
            let scheme = Self.schemes[url[..<schemeEnd.lowerBound].lowercased()]
        else {
            throw Self.malformed(
                "it must start with redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, "
                    + "redis+cluster:// or rediss+cluster://")
        }
        let rest = url[schemeEnd.upperBound...]
        guard !rest.contains("#") else { throw Self.malformed("'#' must be written %23") }
        let (beforeQuery, query) = Self.split(rest, at: "?")
        let slash = beforeQuery.firstIndex(of: "/") ?? beforeQuery.endIndex
        let authority = beforeQuery[..<slash]
        (kind, usesTLS) = scheme
        path = beforeQuery[slash...]
        self.query = query
        if let at = authority.lastIndex(of: "@") {
            userInfo = authority[..<at]
            address = authority[authority.index(after: at)...]
        } else {
            userInfo = nil
            address = authority
        }
    }

    static func malformed(_ reason: String) -> RedisError {
        RedisError(.configuration, "The Redis URL is malformed: \(reason).")
    }

    static func split(_ text: Substring, at separator: Character) -> (Substring, Substring?) {
        guard let index = text.firstIndex(of: separator) else { return (text, nil) }
        return (text[..<index], text[text.index(after: index)...])
    }

    // MARK: servers

    /// The servers of a list, told apart in errors by their number.
    func servers(called what: String, defaultPort: Int) throws(RedisError) -> [RedisEndpoint] {
        let items = address.split(separator: ",", omittingEmptySubsequences: false)
        var servers: [RedisEndpoint] = []
        for (number, item) in items.enumerated() {
            let place = items.count == 1 ? "the \(what)" : "\(what) \(number + 1) of \(items.count)"
            let server = try server(item, called: place, defaultPort: defaultPort)
            guard !servers.contains(server) else { throw Self.malformed("\(place) is named twice") }
            servers.append(server)
        }
        return servers
    }

    /// - Parameter place: What to call the server in an error; nil where there is only one.
    func server(_ text: Substring, called place: String?, defaultPort: Int) throws(RedisError) -> RedisEndpoint {
        func wrong(_ reason: String) -> RedisError { Self.malformed(place.map { "\($0): \(reason)" } ?? reason) }
        var host = text
        var portText: Substring?
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { throw wrong("'[' without ']'") }
            host = text[text.index(after: text.startIndex)..<close]
            let tail = text[text.index(after: close)...]
            guard tail.isEmpty || tail.first == ":" else { throw wrong("only a port may follow ']'") }
            portText = tail.isEmpty ? nil : tail.dropFirst()
        } else {
            (host, portText) = Self.split(text, at: ":")
            guard portText?.contains(":") != true else {
                throw wrong("an IPv6 address stands in brackets, and '@' or ':' in a password is percent-encoded")
            }
        }
        let decoded = try Self.percentDecoded(host)
        guard !decoded.isEmpty else { throw wrong("the host is missing") }
        guard !decoded.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw wrong("the host contains white space")
        }
        guard let portText else { return .tcp(host: decoded, port: defaultPort) }
        guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(portText),
            (1...65535).contains(port)
        else { throw wrong("the port is a number from 1 to 65535") }
        return .tcp(host: decoded, port: port)
    }

    /// The characters that Sentinel itself accepts in a name; a piece of a password cannot pass for one with `@`.
    static func masterName(_ text: Substring) throws(RedisError) -> String {
        let name = try percentDecoded(text)
        guard !name.isEmpty else {
            throw malformed("the master's name follows the Sentinels: redis+sentinel://host1,host2/master-name")
        }
        let isName = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains(byte)
        }
        guard isName else { throw malformed("the master's name has letters, digits and . - _ only") }
        return name
    }

    // MARK: login and database

    func login() throws(RedisError) -> (username: String?, password: String?) {
        guard let userInfo else { return (nil, nil) }
        let (userText, passwordText) = Self.split(userInfo, at: ":")
        let user = userText.isEmpty ? nil : try Self.percentDecoded(userText)
        var password: String?
        if let passwordText, !passwordText.isEmpty { password = try Self.percentDecoded(passwordText) }
        guard user == nil || password != nil else {
            throw Self.malformed("a user needs a password: user:password@, or :password@ for a password alone")
        }
        return (user, password)
    }

    /// The number in the path or in `?db=`; 0 where there is none.
    func database(inPath text: Substring) throws(RedisError) -> Int {
        let fromQuery = try databaseInQuery()
        guard !text.isEmpty else { return fromQuery ?? 0 }
        guard fromQuery == nil else { throw Self.malformed("the database is given twice") }
        return try Self.databaseNumber(text)
    }

    private func databaseInQuery() throws(RedisError) -> Int? {
        guard let query, !query.isEmpty else { return nil }
        var database: Int?
        for item in query.split(separator: "&", omittingEmptySubsequences: false) {
            let (name, value) = Self.split(item, at: "=")
            guard name == "db" else { throw Self.malformed("'db' is the only query parameter") }
            guard database == nil else { throw Self.malformed("the database is given twice") }
            database = try Self.databaseNumber(value ?? "")
        }
        return database
    }

    private static func databaseNumber(_ text: Substring) throws(RedisError) -> Int {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
            number <= Int(Int32.max)
        else { throw malformed("the database is a number") }
        return number
    }

    // MARK: percent encoding

    static func percentDecoded(_ text: Substring) throws(RedisError) -> String {
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
