import RefreshCore
import Testing

@Suite("An account's proxy")
struct ProxySettingTests {
    @Test(
        "URLs are taken apart",
        arguments: [
            ("http://proxy.example:3128", "http://proxy.example:3128", nil, nil),
            ("HTTPS://Proxy.Example:443/", "https://proxy.example:443", nil, nil),
            ("socks5://ann:pa55@10.0.0.1:1080", "socks5://10.0.0.1:1080", "ann", "pa55"),
            ("socks5h://ann@[2001:db8::1]:1080", "socks5h://[2001:db8::1]:1080", "ann", ""),
            ("http://a%40b:p%3A%2F%25%23@h:1", "http://h:1", "a@b", "p:/%#"),
            ("http://a@b:c@h:1", "http://h:1", "a@b", "c"),
        ] as [(String, String, String?, String?)])
    func parses(text: String, url: String, username: String?, password: String?) throws {
        let proxy = try ProxySetting(text)
        #expect(proxy.url == url)
        #expect(proxy.server?.username?.reveal() == username)
        #expect(proxy.server?.password?.reveal() == password)
        #expect(proxy.hasCredentials == (username != nil))
        // What is shown can be read again, without the credentials.
        #expect(try ProxySetting(proxy.url).url == url)
    }

    @Test(
        "others are refused, and nothing of them is repeated",
        arguments: [
            "", "s3cret", "s3cret:1080", "ftp://s3cret:1", "socks4://s3cret:1", "http://", "http://:1", "http://s3cret",
            "http://s3cret:0", "http://s3cret:65536", "http://s3cret:x", "http://s3cret:1/path", "http://s3cret:1?q",
            "http://s3cret:1#f", "http://s3 cret:1", "http://s3crét:1", "http://s3cret%zz:x@h:1", "http://:s3cret@h:1",
            "http://a:s3cret%0a@h:1", "http://[::1:1", "http://[s3cret]:1", "http://::1:80", "http://s3%3Acret:x@h:1",
            "http://h\\s3cret:1", "DIRECT", "http://" + String(repeating: "s3cret", count: 50) + ":x@h:1",
        ])
    func refuses(text: String) {
        do throws(InvalidProxy) {
            Issue.record("\(try ProxySetting(text)) was taken")
        } catch {
            #expect(error.description.hasPrefix("proxy "))
            #expect(!error.description.contains("cret"))
        }
    }

    @Test("credentials stand in the URL or beside it, and never show")
    func credentials() throws {
        let server = try ProxyServer("http://h:1", username: Secret("ann"), password: Secret("hunter2"))
        let other = try ProxyServer("http://ann:hunter2@h:1")
        #expect(server == other)
        #expect(throws: InvalidProxy.self) { try ProxyServer("http://ann:x@h:1", username: Secret("ann")) }
        #expect(throws: InvalidProxy.self) { try ProxyServer("http://h:1", password: Secret("x")) }
        // A colon in a user name is fine where it is not the separator.
        #expect(try ProxyServer("socks5://h:1", username: Secret("a:b")).username?.reveal() == "a:b")
        for value in [server, ProxySetting.server(server), FieldChange.set(ProxySetting.server(server))] as [Any] {
            var dumped = ""
            dump(value, to: &dumped)
            for text in ["\(value)", String(reflecting: value), dumped] { #expect(!text.contains("hunter2")) }
        }
        #expect("\(ProxySetting.server(server))" == "http://h:1 (credentials set)")
        #expect("\(ProxySetting.direct)" == "direct")
        #expect(try ProxySetting("direct") == .direct)
    }
}

@Suite("Labels and filters")
struct LabelTests {
    @Test("labels are short texts under names")
    func labels() throws {
        let labels = try AccountLabels(["b": "2", "a": "x=y", "c.d-e_f": "é ü"])
        #expect(labels.lines == ["a=x=y", "b=2", "c.d-e_f=é ü"])
        for bad in [
            ["": "x"], ["a b": "x"], ["a=b": "x"], ["a\n": "x"], [String(repeating: "k", count: 64): "x"], ["a": ""],
            ["a": "x\ny"], ["a": "\u{7f}"], ["a": String(repeating: "v", count: 201)],
            Dictionary(uniqueKeysWithValues: (0...32).map { ("k\($0)", "v") }),
        ] { #expect(throws: InvalidName.self) { try AccountLabels(bad) } }
        #expect(throws: InvalidName.self) { try LabelChange.merge(["a": "\n"]).check() }
        #expect(throws: InvalidName.self) { try LabelChange.merge(["a b": nil]).check() }
        #expect(
            LabelChange.merge(["a": nil, "z": "1"]).applied(to: labels).values == [
                "b": "2", "c.d-e_f": "é ü", "z": "1",
            ])
    }

    @Test("a filter wants everything that it names")
    func filters() throws {
        var account = AccountSnapshot(
            id: try AccountID("a"), provider: acme, generation: Generation(1), createdAt: WallTime(milliseconds: 0),
            updatedAt: WallTime(milliseconds: 0))
        account.pool = try PoolName("p")
        account.labels = try AccountLabels(["team": "x", "env": "y"])
        #expect(AccountFilter().matches(account))
        #expect(AccountFilter(provider: acme, status: .active, pool: try PoolName("p")).matches(account))
        #expect(!AccountFilter(pool: try PoolName("q")).matches(account))
        #expect(!AccountFilter(tier: try TierName("t")).matches(account))
        #expect(!AccountFilter(status: .disabled).matches(account))
        account.enabled = false
        #expect(AccountFilter(status: .disabled).matches(account))
        #expect(AccountFilter(labels: try AccountFilter.labels(["team", "env=y"])).matches(account))
        #expect(!AccountFilter(labels: try AccountFilter.labels(["team=x", "env=z"])).matches(account))
        #expect(!AccountFilter(labels: try AccountFilter.labels(["other"])).matches(account))
        #expect(throws: InvalidName.self) { try AccountFilter.labels(["team="]) }
        #expect(throws: InvalidName.self) { try AccountFilter.labels(["=x"]) }
    }
}
