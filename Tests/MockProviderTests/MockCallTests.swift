import Testing

@testable import MockProvider

@Suite("Calls of the mock provider", .timeLimit(.minutes(10)))
struct MockCallTests {
    @Test func aQuotaIsEachAccountsAndEveryCallIsOnRecord() async throws {
        try await withProvider { server, client in
            let accounts = server.seedAccounts(count: 2)
            let headers = accounts.map { ["Authorization": "Bearer \($0.accessToken)"] }
            let body = #"{"calls":2,"refill":100}"#
            #expect(try await client.send("PUT", "/admin/quota", headers: json, body: body).status == 200)
            for path in ["/resource", "/echo"] {
                #expect(try await client.send("GET", path, headers: headers[0]).status == 200)
            }
            let spent = try await client.send("GET", "/events", headers: headers[0])
            #expect(spent.status == 429 && spent.headers["retry-after"] == "100")
            #expect(spent.body.contains("No remaining quota"))
            let events = try await client.send("GET", "/events?count=2&interval=1", headers: headers[1])
            #expect(events.status == 200 && events.body.contains("data: {\"n\":1,"))
            #expect(try await client.send("POST", "/echo").status == 401)

            let records = try await client.send("GET", "/admin/calls").json([CallEndpoint.Record].self)
            #expect(records.map(\.sequence) == [1, 2, 3, 4, 5])
            #expect(records.map(\.account) == ["acct-1", "acct-1", "acct-1", "acct-2", nil])
            #expect(records.map(\.path) == ["/resource", "/echo", "/events", "/events", "/echo"])
            #expect(records.map(\.status) == [200, 200, 429, 200, 401])
            let later = try await client.send("GET", "/admin/calls?after=4").json([CallEndpoint.Record].self)
            #expect(later == [records[4]])

            #expect(try await client.send("DELETE", "/admin/quota").status == 200)
            #expect(try await client.send("GET", "/resource", headers: headers[0]).body == #"{"account":"acct-1"}"#)
        }
    }

    @Test(arguments: [
        ("PUT", "/admin/quota", "{}", "calls is missing"), ("PUT", "/admin/quota", #"{"calls":-1}"#, "0 or more"),
        ("PUT", "/admin/quota", #"{"calls":1,"refill":0}"#, "at most a day"),
        ("PUT", "/admin/quota", #"{"call":1}"#, "call"), ("POST", "/admin/quota", "{}", "PUT, DELETE"),
        ("GET", "/admin/calls?after=x", "", "after must be a number"),
    ])
    func badRequestsSayWhatIsWrong(method: String, path: String, body: String, part: String) async throws {
        try await withProvider { _, client in
            let reply = try await client.send(method, path, headers: json, body: body)
            #expect((400...405).contains(reply.status))
            #expect(reply.body.contains(part), "\(reply.body)")
        }
    }
}
