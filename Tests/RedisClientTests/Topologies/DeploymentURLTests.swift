import Testing

@testable import RedisClient

@Suite struct DeploymentURLTests {
    private func host(_ name: String, _ port: Int) -> RedisEndpoint { .tcp(host: name, port: port) }

    @Test func sentinelURLs() throws {
        let plain = try RedisConfiguration(url: "redis+sentinel://h1,h2:1,[::1]:2/my-master_1.x")
        #expect(
            plain.deployment
                == .sentinel([host("h1", 26379), host("h2", 1), host("::1", 2)], masterName: "my-master_1.x"))
        #expect(plain.tls == nil && plain.username == nil && plain.password == nil && plain.database == 0)
        let full = try RedisConfiguration(url: "REDISS+sentinel://u:p%40w@h1/main/3")
        #expect(full.deployment == .sentinel([host("h1", 26379)], masterName: "main"))
        #expect(full.tls != nil && full.username == "u" && full.password == "p@w" && full.database == 3)
        #expect(try RedisConfiguration(url: "redis+sentinel://h1/main?db=2").database == 2)
    }

    @Test func clusterURLs() throws {
        let plain = try RedisConfiguration(url: "redis+cluster://h1,h2:7000")
        #expect(plain.deployment == .cluster(seeds: [host("h1", 6379), host("h2", 7000)]))
        let full = try RedisConfiguration(url: "rediss+cluster://:pw@h1/0")
        #expect(full.deployment.isCluster && full.tls != nil && full.password == "pw")
    }

    @Test(arguments: [
        ("redis+sentinel://h1,h2", "master's name"), ("redis+sentinel://h1/", "master's name"),
        ("redis+sentinel://h1/a b", "master's name"), ("redis+sentinel://h1/main/x", "database"),
        ("redis+sentinel://h1/main/1?db=2", "twice"), ("redis+sentinel:///main", "host is missing"),
        ("redis+sentinel://h1,,h3/main", "Sentinel 2 of 3"), ("redis+sentinel://h1,h2:0/main", "Sentinel 2 of 2"),
        ("redis+sentinel://h1,h1/main", "named twice"), ("redis+sentinel://secret@h1/main", "needs a password"),
        ("redis+cluster://", "host is missing"), ("redis+cluster://h1,h2:x", "node 2 of 2"),
        ("redis+cluster://h1/1", "database 0 only"), ("redis+cluster://h1?db=4", "database 0 only"),
        ("redis+cluster://u:secret%@h1", "%"), ("redis+other://h1", "must start with"),
    ]) func refuses(url: String, because reason: String) {
        let error = #expect(throws: RedisError.self) { try RedisConfiguration(url: url) }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains(reason) == true, "\(error as Any)")
        #expect(error?.message.contains("secret") == false)
        #expect(RedisConfiguration.reasonAgainst(url: url) == error?.message)
    }

    @Test func aDescriptionNamesTheServers() throws {
        let sentinel = try RedisConfiguration(url: "redis+sentinel://u:hunter2@h1,h2/main")
        #expect("\(sentinel)".contains("master main of Sentinel h1:26379, h2:26379"))
        #expect(!"\(sentinel)".contains("hunter2"))
        #expect("\(try RedisConfiguration(url: "redis+cluster://h1"))".contains("Cluster h1:6379"))
    }
}
